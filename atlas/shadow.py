"""What one more tonne is worth at each unit, stage and place: shadow values of limits, checked by finite differences.

VALUE  Of a unit's limit L (normal output and surge, after halts) the programme's optimum is a convex, falling,
piecewise linear function V(L). Its slope is the reduced cost of the column that ends at L: `surge` where the limit lies
above normal output, else `normal`. The value is -V'(L), USD a tonne a year, in the programme's own terms - penalties
on shortage, charges on home users and contracts, corrections - and not a market price. A tonne at the surge is a
dear one: it pays the premium.

CHECK  For the most valuable units the programme is solved again with L + d and L - d: `plus_usd_t` and `minus_usd_t`
are the two differences over d. Where they differ by more than KINK the value holds one way only: a kink. Elsewhere
the reduced cost must agree with them within KINK, and `agrees` says so.

TONNES  The first solve says how much less is short for each tonne more, in the world and in the bloc. What is removed
inside one step of the penalty goes to those whose shortage costs the same, pro rata to their demand, as `fair` shares
it: a bloc's part is no accident of the solver.

LEFT OUT  A unit with no limit at all - halted whole, or still - has no slope on one side, and its reduced cost is only
a bound; it is listed last, without a value.

What a tonne of a commodity is worth where it is used: `prices`. Routes of partial halts are those of the halted state.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from atlas.errors import BadInput, UnknownName, nearest
from atlas.fair import FACE_USD_T
from atlas.frontier import Progress, state_under
from atlas.model import Programme
from atlas.solver import Optimum, solve
from atlas.solving import State
from atlas.summary import rounded
from atlas.world import STAGES, World

TOP, TOP_MOST = 20, 200
KINK = 0.01  # left and right differences that differ by more are a kink
# The step is this part of the limit, between these tonnes: small beside a step of the penalty, large beside rounding.
STEP_SHARE, STEP_LEAST_T, STEP_MOST_T = 1e-3, 0.05, 1.0
LEAST_USD_T = 1.0  # smaller differences are the solver's rounding
UNIT_OF = {"mine": "t REO", "separation": "t REO taken in", "metal": "t metal", "magnet": "t magnets",
           "recycling": "t REO"}  # fmt: skip


@dataclass(frozen=True)
class Worth:
    """What one more tonne is worth under halts.

    `units` by id, dearest first: name, stage, product, country, limit_t, output_t, halted_share, value_usd_t (by the
    dual; NaN without a limit), and for the checked ones step_t, plus_usd_t, minus_usd_t, kink, agrees, world_t and
    bloc_t (tonnes of shortage removed by one tonne more), NaN for the rest. `places` by stage and country, where any
    has a limit: units, limit_t, value_usd_t (of the best unit), best (its id), rent_usd (value x limit, summed).
    """

    bloc: str
    halts: tuple[str, ...]
    year: int
    shortage_t: float
    bloc_shortage_t: float
    units: pd.DataFrame = field(repr=False)
    places: pd.DataFrame = field(repr=False)
    checked: int = 0

    @property
    def kinks(self) -> int:
        """How many of the checked values hold one way only."""
        return int((self.units["kink"] == 1.0).sum())

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values, floats at six significant digits; what was not checked is null."""
        units = self.units.reset_index().rename(columns={"index": "id"})
        return rounded(
            {
                "bloc": self.bloc,
                "halts": list(self.halts),
                "year": self.year,
                "shortage_t": self.shortage_t,
                "bloc_shortage_t": self.bloc_shortage_t,
                "checked": self.checked,
                "kinks": self.kinks,
                "units": [_plain(r) for r in units.to_dict("records")],
                "places": self.places.reset_index(drop=True).to_dict("records"),
            }
        )


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a row with its flags as booleans, null where nothing was checked."""
    out = {str(k): v for k, v in row.items()}
    for flag in ("kink", "agrees"):
        out[flag] = None if out[flag] != out[flag] else bool(out[flag])
    return out


def worth(
    study: Any,
    halts: Sequence[str] = (),
    bloc: str = "us-allies",
    stages: Sequence[str] = (),
    top: int = TOP,
    progress: Progress | None = None,
) -> Worth:
    """Value one more tonne at every unit (of `stages`) under halts; check the `top` most valuable by differences.

    Raises UnknownName for a bloc or stage, BadInput for halts or `top`, SolverFailure.
    """
    if bloc not in study.blocs:
        raise UnknownName("bloc", bloc, nearest(bloc, study.blocs) or sorted(study.blocs))
    for s in stages:
        if s not in STAGES:
            raise UnknownName("stage", s, nearest(s, STAGES) or list(STAGES))
    if not 0 <= top <= TOP_MOST:
        raise BadInput(f"top {top}: expected 0 to {TOP_MOST}")
    specs, state = state_under(study, halts)
    world, limit_s = study.ground.stage.world, study.settings.solve_time_limit_s
    units = valued(world, state)
    facilities = study.layers.facilities
    if "name" in facilities:
        units.insert(0, "name", [str(facilities["name"].get(i, i)) for i in units.index])
    else:
        units.insert(0, "name", units.index.astype(str))
    if stages:
        units = units[units["stage"].isin(list(stages))]
    units = units.sort_values(["value_usd_t", "limit_t"], ascending=False, kind="stable")
    found = checked(world, state, units, study.blocs[bloc], top, limit_s, progress)
    short, here = _shortages(world, state.programme, state.optimum, study.blocs[bloc])
    n = int(found["step_t"].notna().sum())
    return Worth(bloc, specs, study.year, short, here, found, by_place(found), n)


def valued(world: World, state: State) -> pd.DataFrame:
    """Return every unit with limit_t, output_t, halted_share and value_usd_t (units,)."""
    limits = state.limits
    lost = state.restriction.unit_lost if state.restriction else {}
    share = np.array([lost.get(str(i), 0.0) for i in limits.index])
    normal, limit = limits["normal_t"].to_numpy(dtype=float), limits["limit_t"].to_numpy(dtype=float)
    allowed = (1 - share) * limit
    at = columns_of(state.programme, limits.index)
    d = state.optimum.d
    # Where the limit lies within normal output, one more tonne is one of that; else one at the surge.
    value = -np.where(allowed < normal, d[at["normal"]], d[at["surge"]])
    x = state.optimum.x
    u = world.units
    return pd.DataFrame(
        {
            "stage": u["stage"].reindex(limits.index).to_numpy(),
            "product": u["product"].reindex(limits.index).to_numpy(),
            "country": u["country"].reindex(limits.index).to_numpy(),
            "limit_t": allowed,
            "normal_t": normal,
            "output_t": x[at["normal"]] + x[at["surge"]],
            "halted_share": share,
            "value_usd_t": np.where(allowed > 0, np.maximum(value, 0.0) + 0.0, np.nan),
        },
        index=limits.index,
    )


def columns_of(programme: Programme, units: pd.Index) -> dict[str, np.ndarray]:
    """Return the places of each unit's normal and surge columns in a programme, by kind (units,)."""
    c = programme.columns
    kind = c["kind"].to_numpy()
    out = {}
    for name in ("normal", "surge"):
        at = np.flatnonzero(kind == name)
        out[name] = pd.Series(at, index=c["unit"].to_numpy()[at]).reindex(units).to_numpy(dtype=np.int64)
    return out


def moved(programme: Programme, normal: int, surge: int, normal_t: float, limit_t: float) -> Programme:
    """Return a programme in which one unit's limit is `limit_t`; its columns are `normal` and `surge`."""
    upper = programme.lp.upper.copy()
    upper[normal] = min(normal_t, limit_t)
    upper[surge] = limit_t - upper[normal]
    return dataclasses.replace(programme, lp=dataclasses.replace(programme.lp, upper=upper))


def checked(
    world: World,
    state: State,
    units: pd.DataFrame,
    bloc: frozenset[str],
    top: int,
    limit_s: float,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return `units` with the columns of a check (see `Worth`), filled for the first `top` that are worth anything."""
    programme = state.programme
    at = columns_of(programme, units.index)
    todo = [n for n in range(len(units)) if units["value_usd_t"].iat[n] > LEAST_USD_T][:top]
    part = _tied_part(world, programme, state.optimum, bloc)
    names = ("step_t", "plus_usd_t", "minus_usd_t", "kink", "agrees", "world_t", "bloc_t")
    out = {k: np.full(len(units), np.nan) for k in names}
    for done, n in enumerate(todo):
        if progress:
            progress(done, len(todo), str(units["name"].iat[n]) if "name" in units else str(units.index[n]))
        limit, normal = float(units["limit_t"].iat[n]), float(units["normal_t"].iat[n])
        d = min(max(STEP_SHARE * limit, STEP_LEAST_T), STEP_MOST_T)
        less = min(d, limit)
        own = programme, int(at["normal"][n]), int(at["surge"][n]), normal
        up = solve(moved(*own, limit + d).lp, limit_s)
        plus = (state.optimum.objective - up.objective) / d
        minus = (solve(moved(*own, limit - less).lp, limit_s).objective - state.optimum.objective) / less
        value = float(units["value_usd_t"].iat[n])
        ends = np.array([plus, minus])
        kink = abs(ends[1] - ends[0]) > max(KINK * float(np.abs(ends).max()), LEAST_USD_T)
        near = abs(value - ends.mean()) <= max(KINK * abs(value), LEAST_USD_T)
        between = ends.min() - LEAST_USD_T <= value * (1 + KINK) and value * (1 - KINK) <= ends.max() + LEAST_USD_T
        removed = _removed(world, programme, state.optimum, up, bloc, part) / d
        row = (d, plus, minus, float(kink), float(between if kink else near), *removed)
        for k, v in zip(names, row, strict=True):
            out[k][n] = v
    if progress and todo:
        progress(len(todo), len(todo), "done")
    return units.assign(**out)


def by_place(units: pd.DataFrame) -> pd.DataFrame:
    """Return stage, country, units, limit_t, value_usd_t of the best unit, best (its id), rent_usd; dearest first."""
    rows = []
    for (stage, country), part in units.groupby(["stage", "country"], sort=True):
        known = part["value_usd_t"].dropna()
        if known.empty:
            continue
        best = known.idxmax()
        rows.append(
            {
                "stage": stage,
                "country": country,
                "units": len(part),
                "limit_t": float(part["limit_t"].sum()),
                "value_usd_t": float(part.at[best, "value_usd_t"]),
                "best": str(best),
                "rent_usd": float((part["value_usd_t"] * part["limit_t"]).sum()),
            }
        )
    columns = ["stage", "country", "units", "limit_t", "value_usd_t", "best", "rent_usd"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        ["value_usd_t", "rent_usd"], ascending=False, kind="stable", ignore_index=True
    )


def _shortages(world: World, programme: Programme, optimum: Optimum, bloc: frozenset[str]) -> tuple[float, float]:
    """Return tonnes short in the world and in the bloc."""
    steps = _steps(world, programme, optimum, bloc)
    return float(steps["t"].sum()), float(steps["t"][steps["inside"]].sum())


def _steps(world: World, programme: Programme, optimum: Optimum, bloc: frozenset[str]) -> pd.DataFrame:
    """Return the columns of shortage: key (grade), priority_class, step, inside (the bloc), most (t), t, d."""
    c = programme.columns
    at = np.flatnonzero((c["kind"] == "short").to_numpy())
    country = world.markets["country"].reindex(c["unit"].to_numpy()[at]).to_numpy(dtype=object)
    found = {"inside": np.isin(country, list(bloc)), "t": optimum.x[at], "d": optimum.d[at]}
    return c.iloc[at][["key", "priority_class", "step"]].assign(most=programme.lp.upper[at], **found)


_STEP = ["key", "priority_class", "step"]


def _tied_part(world: World, programme: Programme, optimum: Optimum, bloc: frozenset[str]) -> pd.Series:
    """Return the bloc's part of the demand that shares each step of shortage at one cost, by step."""
    steps = _steps(world, programme, optimum, bloc)
    tied = steps[(steps["d"].abs() <= FACE_USD_T) & (steps["most"] > 0)]
    whole = tied.groupby(_STEP)["most"].sum()
    return tied[tied["inside"]].groupby(_STEP)["most"].sum().reindex(whole.index).fillna(0.0) / whole


def _removed(
    world: World, programme: Programme, before: Optimum, after: Optimum, bloc: frozenset[str], part: pd.Series
) -> np.ndarray:
    """Return tonnes of shortage removed in the world and in the bloc (2,)."""
    a, b = (_steps(world, programme, o, bloc) for o in (before, after))
    steps = a.assign(less=a["t"] - b["t"])
    whole = steps.groupby(_STEP)["less"].sum()
    own = steps[steps["inside"]].groupby(_STEP)["less"].sum().reindex(whole.index).fillna(0.0)
    shared = part.reindex(whole.index)
    return np.array([whole.sum(), (whole * shared).where(shared.notna(), own).sum()])
