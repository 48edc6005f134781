"""Recompute every unit's balance, yields and output from flows and layers alone.

Nothing here knows the model. The closing rows (to `surplus`, `stock` and `loss`) are judged too: what a plant loses
must be just what its yield says, so a model with wrong yields does not pass by calling the difference a loss.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from atlas.chain import chain_of
from atlas.layers import Layers

ENDS = ("surplus", "stock", "loss")
BASE_YEAR = 2024
# Flows below a gram or so are not written; a unit has few hundred of them.
LEAST_T = 1e-4
# What each kind of unit makes, as stock of its own that it may sell on.
MAKES = {
    "mine/concentrate": "concentrate", "separation/oxide": "oxide", "recycling/oxide": "oxide", "metal/metal": "metal",
    "magnet/sintered": "magnet", "magnet/smco": "magnet", "magnet/magnet": "magnet", "magnet/bonded": "magnet",
}  # fmt: skip


@dataclass(frozen=True)
class Chemistry:
    """What the layers say of elements, yields and recipes; a column that is missing or empty means none of it."""

    layers: Layers

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """The elements of mines' baskets, as the facility layer has them."""
        chain, columns = chain_of(self.layers), self.layers.facilities.columns
        return tuple(e for e in chain.elements if chain.basket_column(e) in columns)

    @cached_property
    def per_oxide(self) -> dict[str, float]:
        """Tonnes of metal in a tonne of oxide."""
        return {e: float(self.layers.parameters[f"metal_per_oxide_{e.lower()}"]) for e in self.elements}

    @cached_property
    def metal_yield(self) -> dict[str, float]:
        """Part of an element in oxide that becomes metal, where the layers say it."""
        p = self.layers.parameters
        names = {e: chain_of(self.layers).yield_name(e) for e in self.elements}
        return {e: float(p[names[e]]) for e in self.elements if names[e] in p.index}

    @cached_property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """What recipes are made of -> its elements: NdPr, Dy, Tb and so on."""
        chain, columns = chain_of(self.layers), self.layers.grades.columns
        return {k: chain.of(k) for k in chain.keys if chain.recipe_column(k) in columns}

    @cached_property
    def content(self) -> dict[tuple[str, str], float]:
        """Tonnes of each key in a tonne of blank, by grade and key."""
        g = self.layers.grades
        columns = {k: pd.to_numeric(g[f"{k.lower()}_t_per_t"], errors="coerce").fillna(0.0) for k in self.keys}
        return {(str(i), k): float(t) for k, c in columns.items() for i, t in c.items()}

    @cached_property
    def finished(self) -> float:
        """Tonnes of finished magnets from a tonne of blanks; the rest is swarf."""
        return float(self.layers.parameters["blank_to_finished"])

    @cached_property
    def pr(self) -> float:
        """Part of the second element of the pair in swarf: of Pr in NdPr."""
        return float(self.layers.parameters[chain_of(self.layers).pair_usual])

    def blanks(self, product: str) -> float:
        """Return tonnes of blank for a tonne of finished magnets; bonded ones are pressed to shape."""
        return 1.0 if product == "bonded" else 1 / self.finished

    def swarf(self, product: str, grade: str) -> dict[str, float]:
        """Return tonnes of oxide of each element in the swarf of a tonne of finished magnets."""
        pair = chain_of(self.layers).pair
        part = dict(zip(pair, (1 - self.pr, self.pr), strict=True)) if pair else {}
        waste = self.blanks(product) - 1
        return {
            e: waste * self.content.get((grade, k), 0.0) * part.get(e, 1.0) / self.per_oxide[e]
            for k, elements in self.keys.items()
            for e in elements
        }

    @cached_property
    def baskets(self) -> pd.DataFrame:
        """Part of each element in a mine's REO, by facility."""
        f = self.layers.facilities
        shares = {e: pd.to_numeric(f[f"{e.lower()}_share"], errors="coerce").fillna(0.0) for e in self.elements}
        return pd.DataFrame(shares, index=f.index)

    def made(self, year: int) -> dict[str, tuple[str, ...]]:
        """Return the elements that each facility's row names for `year`, () where it names none."""
        found = {}
        for i, tokens in self.layers.facilities["elements"].items():
            parts = [str(t).partition("@") for t in tokens]
            made = (e for e, _, since in parts if not since or int(since) <= year)
            found[str(i)] = tuple(e for e in made if e in self.elements)
        return found


def flow_problems(
    flows: pd.DataFrame, layers: Layers, state: str, *, tolerance: float = 1e-6, year: int = BASE_YEAR
) -> list[str]:
    """Recompute every balance of one state from flows and layers; return what does not close, in words.

    A balance may miss by `tolerance` of the unit's throughput plus 1e-4 t (flows under a gram-scale floor are dropped).
    Units that are not in `layers` (a scenario's own plants) are passed over.
    """
    f = flows[flows["state"] == state]
    book = _Book(f, layers, year)
    problems: list[str] = []
    for i in sorted((set(f["from_id"]) | set(f["to_id"])) & set(layers.facilities.index)):
        for what, left, scale in book.balances(i):
            if abs(left) > tolerance * scale + LEAST_T:
                problems.append(f"{i}: {what} is off by {left:.6g} t of {scale:.6g} t")
    return problems


def own_stock(f: pd.DataFrame, layers: Layers) -> np.ndarray:
    """Return which flows are a maker's stock of what it makes, let go by a scenario (bool over flows).

    Such goods leave the maker with its other sales but were not made: they are neither an input nor output of it.
    """
    fac = layers.facilities
    made = (fac["stage"].astype(str) + "/" + fac["product"].astype(str)).map(MAKES)
    stock = f["from_id"].astype(str).str.startswith("stock-") & ~f["from_id"].isin(fac.index)
    return (stock & (f["to_id"].map(made) == f["commodity"])).to_numpy(dtype=bool)


def outputs(f: pd.DataFrame, layers: Layers) -> pd.Series:
    """Return what each unit of one state's flows makes, in the unit's own terms (t by id).

    Mines: what leaves; separation: what enters; metal and magnet plants: what leaves, building of stock included;
    recyclers: what leaves and what is left over, in oxide. What they let go of stock of their own is taken off.
    """
    fac = layers.facilities
    own = own_stock(f, layers)
    let_go, f = f[own], f[~own]
    per_oxide = Chemistry(layers).per_oxide
    made = f[(f["to_id"] != "loss") & f["from_id"].isin(fac.index)]
    stage = made["from_id"].map(fac["stage"])
    product = {"mine": "concentrate", "metal": "metal", "magnet": "magnet"}
    plain = made[made["commodity"] == stage.map(product)].groupby("from_id")["tonnes"].sum()
    back = made[(stage == "recycling") & made["commodity"].isin(["oxide", "metal"])]
    ratio = back["element"].map(per_oxide).where(back["commodity"] == "metal", 1.0)
    recycled = (back["tonnes"] / ratio).groupby(back["from_id"]).sum()
    ore = f[(f["commodity"] == "concentrate") & f["to_id"].isin(fac.index)]
    taken = ore.groupby("to_id")["tonnes"].sum()
    sold = let_go[(let_go["to_id"].map(fac["stage"]) != "separation").to_numpy(dtype=bool)]
    off = -sold.groupby("to_id")["tonnes"].sum()
    return pd.concat([plain, recycled, taken, off]).groupby(level=0).sum()


def nameplate(layers: Layers) -> pd.Series:
    """Return the most each facility can make, t; NaN where the layers do not say."""
    f = layers.facilities
    columns = [pd.to_numeric(f[c], errors="coerce").to_numpy(dtype=float) for c in ("capacity_t", "output_t")]
    return pd.Series(np.fmax(*columns), index=f.index)


def capacity_problems(flows: pd.DataFrame, layers: Layers, state: str, *, tolerance: float = 1e-6) -> list[str]:
    """Recompute every unit's output of one state from flows; return those above their nameplate, in words.

    Units that are not in `layers` (a scenario's own plants) are passed over.
    """
    made = outputs(flows[flows["state"] == state], layers)
    capacity = nameplate(layers).reindex(made.index)
    over = made > capacity * (1 + tolerance) + LEAST_T
    return [f"{i}: {made[i]:.6g} t is above its capacity of {capacity[i]:.6g} t" for i in sorted(made.index[over])]


def open_limits(layers: Layers, units: pd.DataFrame) -> pd.Series:
    """Return the most each unit can make with nothing halted, t by id: surge above normal_t, never above nameplate."""
    p, normal = layers.parameters, units["normal_t"].astype(float)
    stage = layers.facilities["stage"].astype(str).reindex(units.index)
    share = {s: float(p.get(f"surge_share_{s}", p["surge_share"])) for s in stage.dropna().unique()}
    surge = stage.map(share).astype(float)
    return np.maximum(normal, np.minimum(nameplate(layers).reindex(units.index), normal * (1 + surge)))


def limit_problems(
    flows: pd.DataFrame,
    layers: Layers,
    units: pd.DataFrame,
    *,
    lost: Mapping[str, float],
    year: int = BASE_YEAR,
    fitted: bool = True,
    skip: Collection[str] = (),
) -> list[str]:
    """Recompute output and limit of each unit in both states; return where `units` or the flows say more, in words.

    `units` is baseline_t, halted_t, normal_t and limit_t by id, as stored; `lost` the share of its limit that each unit
    loses to halts; `skip` names units that are not to be judged. Not `fitted`: the baseline is not that of the fit.
    """
    fac = layers.facilities
    u = units[units.index.isin(fac.index) & ~units.index.isin(list(skip))].astype(float)
    made = {s: outputs(flows[flows["state"] == s], layers).reindex(u.index).fillna(0.0) for s in ("baseline", "halted")}
    whole, most = nameplate(layers).reindex(u.index), open_limits(layers, u)
    halted = most * np.array([1 - lost.get(str(i), 0.0) for i in u.index])
    reported = pd.to_numeric(fac["output_t"], errors="coerce").reindex(u.index)
    # In 2024 what is normal is what ran.
    usual = np.fmax(made["baseline"], reported) if fitted and year == BASE_YEAR else whole
    usual = usual.where(reported.notna(), whole)
    normal, limit = u["normal_t"], u["limit_t"]
    tests = [
        ("a normal output of {:.6g} t is above its capacity of {:.6g} t", normal, whole, _over(normal, whole)),
        ("a normal output of {:.6g} t is above the usual {:.6g} t", normal, usual, _over(normal, usual)),
        ("its limit is stated as {:.6g} t, but comes to {:.6g} t", limit, halted, _apart(limit, halted)),
    ]
    for state, top in (("baseline", most), ("halted", halted)):
        t, stated = made[state], u[f"{state}_t"]
        tests += [
            (state + ": {:.6g} t is above its limit of {:.6g} t", t, top, _over(t, top)),
            (state + ": its output is stated as {:.6g} t, but comes to {:.6g} t", stated, t, _apart(stated, t)),
        ]
    return [f"{i}: " + text.format(a[i], b[i]) for text, a, b, wrong in tests for i in u.index[wrong]]


def _over(t: pd.Series, most: pd.Series) -> pd.Series:
    return t > most * (1 + 2e-6) + 1e-3


def _apart(a: pd.Series, b: pd.Series) -> pd.Series:
    return (a - b).abs() > b * 2e-6 + 1e-3


class _Book:
    """Sums of flows by unit, ready to be balanced."""

    def __init__(self, f: pd.DataFrame, layers: Layers, year: int) -> None:
        self.chemistry = Chemistry(layers)
        p, fac = layers.parameters, layers.facilities
        self.recovery = {"separation": float(p["separation_recovery"]), "recycling": float(p["swarf_recovery"])}
        self.stage, self.product = fac["stage"].astype(str).to_dict(), fac["product"].astype(str).to_dict()
        keys = ["commodity", "element"]
        own = own_stock(f, layers)
        stock, f = f[own], f[~own]
        self.let_go = stock.groupby(["to_id", *keys])["tonnes"].sum().to_dict()
        self.into = f.groupby(["to_id", *keys])["tonnes"].sum().to_dict()
        end = f["to_id"].isin(ENDS)
        self.out = f[~end].groupby(["from_id", *keys])["tonnes"].sum().to_dict()
        self.end = f[end].groupby(["to_id", "from_id", *keys])["tonnes"].sum().to_dict()
        self.magnets: dict[str, dict[str, float]] = {}
        sold = pd.concat([f, stock.assign(from_id=stock["to_id"], tonnes=-stock["tonnes"])])
        sold = sold[sold["commodity"] == "magnet"]
        for (i, g), t in sold.groupby(["from_id", "grade"])["tonnes"].sum().items():
            self.magnets.setdefault(i, {})[g] = t
        self.ore = self._ore(f[f["commodity"] == "concentrate"]).to_dict("index")
        self.made = self.chemistry.made(year)

    def _ore(self, c: pd.DataFrame) -> pd.DataFrame:
        """Element tonnes of concentrate into each unit; what a cracking plant sells carries the mix that it took in."""
        baskets = self.chemistry.baskets.reindex(sorted(set(c["from_id"]))).fillna(0.0)
        cracked = [i for i in baskets.index if self.product.get(i) == "carbonate"]
        for i in cracked:
            part = c[c["to_id"] == i]
            if part["tonnes"].sum() > 0:
                came = baskets.reindex(part["from_id"]).fillna(0.0).to_numpy()
                baskets.loc[i] = part["tonnes"].to_numpy() @ came / part["tonnes"].sum()
        tonnes = baskets.reindex(c["from_id"]).to_numpy() * c["tonnes"].to_numpy()[:, None]
        return pd.DataFrame(tonnes, columns=baskets.columns).groupby(c["to_id"].to_numpy()).sum()

    def balances(self, i: str) -> Iterable[tuple[str, float, float]]:
        """Yield (what, tonnes left over, scale) for every balance of a unit."""
        stage, product = self.stage[i], self.product[i]
        if stage == "mine":
            return
        if product == "carbonate":
            came, went = self.into.get((i, "concentrate", ""), 0.0), self.out.get((i, "concentrate", ""), 0.0)
            yield "concentrate", came - went, max(came, went)
        elif stage == "magnet":
            yield from self._magnet(i, product)
        elif stage in self.recovery:
            for e in self.chemistry.elements:
                if stage == "separation":
                    came = self.ore[i][e] if i in self.ore else 0.0
                else:
                    came = self.into.get((i, "scrap", e), 0.0)
                powder = self.out.get((i, "metal", e), 0.0) / self.chemistry.per_oxide[e]
                made = self.out.get((i, "oxide", e), 0.0) + powder + self.end.get(("surplus", i, "oxide", e), 0.0)
                made -= self.let_go.get((i, "oxide", e), 0.0)
                lost = self.end.get(("loss", i, "oxide", e), 0.0)
                yield from self._closes(i, e, came, made, lost, self.recovery[stage])
        else:
            for e in self.chemistry.elements:
                per_oxide = self.chemistry.per_oxide[e]
                smelted = self.into.get((i, "oxide", e), 0.0) * per_oxide
                blended = self.into.get((i, "metal", e), 0.0)
                made = self.out.get((i, "metal", e), 0.0) + self.end.get(("stock", i, "metal", e), 0.0)
                made -= self.let_go.get((i, "metal", e), 0.0)
                lost = self.end.get(("loss", i, "metal", e), 0.0)
                share = self.chemistry.metal_yield.get(e)
                if product == "metal" and share is not None:
                    yield from self._closes(i, e, smelted, made - blended, lost, share)
                else:
                    yield e, smelted + blended - made - lost, max(smelted + blended, made)

    def _closes(
        self, i: str, e: str, came: float, made: float, lost: float, share: float
    ) -> Iterable[tuple[str, float, float]]:
        """Yield that nothing is left over, and that just `share` of what came is recovered: none where i makes none."""
        scale = max(came, made)
        yield e, came - made - lost, scale
        # An element that a plant does not make is lost whole.
        due = share * came if e in (self.made[i] or chain_of(self.chemistry.layers).usual) else 0.0
        yield f"{e} recovered (by a yield of {share:g})", made - due, scale

    def _magnet(self, i: str, product: str) -> Iterable[tuple[str, float, float]]:
        c, made = self.chemistry, self.magnets.get(i, {})
        for k, elements in c.keys.items():
            need = sum(t * c.blanks(product) * c.content.get((g, k), 0.0) for g, t in made.items())
            came = sum(self.into.get((i, "metal", e), 0.0) for e in elements)
            yield k, came - need, max(came, need)
        swarf = dict.fromkeys(c.elements, 0.0)
        for g, t in made.items():
            for e, per_t in c.swarf(product, g).items():
                swarf[e] += t * per_t
        for e in c.elements:
            went = self.out.get((i, "scrap", e), 0.0) + self.end.get(("loss", i, "scrap", e), 0.0)
            yield f"{e} in swarf", swarf[e] - went, max(swarf[e], went)
