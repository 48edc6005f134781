"""Wrong answers are caught, whatever went wrong: the flows, the duals, the figures or the model's own code.

Every corrupted folder is sealed again as the writer seals it, so what catches it is arithmetic and not a checksum.
"""

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from atlas import export, readback, restriction, solving, stored, summary, world
from atlas import study as study_module
from atlas.lane_routes import LaneRouter
from atlas.study import Study
from atlas.world import World

MAGNETS = ("country:CHN@0.7/magnet",)
HALTS = ("country:CHN@0.7/magnet", "facility:lynas-kuantan@0.5", "passage:malacca")


@dataclasses.dataclass
class Folder:
    """What a result folder says, to be tampered with."""

    flows: pd.DataFrame
    summary: dict[str, Any]
    facilities: dict[str, Any]
    arrays: dict[str, Any]

    @classmethod
    def of(cls, outcome: Any) -> "Folder":
        return cls(
            export.flows_csv(outcome),
            json.loads(json.dumps(outcome.summary)),
            json.loads(export.layer_text(outcome, "facilities")),
            {k: np.array(v) for k, v in outcome.certificate_arrays.items()},
        )

    def copy(self) -> "Folder":
        return Folder(
            self.flows.copy(), json.loads(json.dumps(self.summary)), json.loads(json.dumps(self.facilities)),
            {k: v.copy() for k, v in self.arrays.items()},
        )  # fmt: skip

    def problems(self, folder: Path, layers: Any) -> list[str]:
        """Write the folder, seal it as the real writer does, and return what the check says of it."""
        folder.mkdir(exist_ok=True)
        (folder / "summary.json").write_text(json.dumps(self.summary), encoding="utf-8")
        (folder / "facilities.geojson").write_text(json.dumps(self.facilities), encoding="utf-8")
        self.flows.to_csv(folder / "flows.csv", index=False, lineterminator="\n")
        np.savez(folder / "certificate.npz", **self.arrays, **export.seals(folder, layers.digest))
        return stored.check_folder(folder, layers)["problems"]

    def rows(self, state: str = "halted", **fixed: str) -> pd.DataFrame:
        """Return the routed flows of a state with these values, the largest first."""
        f = self.flows[(self.flows["state"] == state) & (self.flows["route_id"] != "")]
        for name, value in fixed.items():
            f = f[f[name] == value]
        return f.sort_values("tonnes", ascending=False)

    def largest(self, state: str = "halted", **fixed: str) -> Any:
        """Return the label of the largest such flow."""
        return self.rows(state, **fixed).index[0]


@pytest.fixture(scope="module")
def clean(study: Study) -> Folder:
    return Folder.of(study.solve(HALTS))


@pytest.fixture(scope="module")
def solved(study: Study) -> dict[tuple[str, ...], Folder]:
    return {}


# -- Flows ------------------------------------------------------------------------------------------------------------


def scale(commodity: str, by: float) -> Callable[[Folder], None]:
    def change(f: Folder) -> None:
        f.flows.loc[f.largest(commodity=commodity), "tonnes"] *= by

    return change


def move(commodity: str, column: str) -> Callable[[Folder], None]:
    """Give the largest flow of a commodity another origin or destination, one that trades in it too."""

    def change(f: Folder) -> None:
        rows = f.rows(commodity=commodity)
        country = column.replace("_id", "_country")
        other = rows[(rows[column] != rows[column].iloc[0]) & (rows[country] == rows[country].iloc[0])].iloc[0]
        f.flows.loc[rows.index[0], column] = other[column]

    return change


def negative(f: Folder) -> None:
    at = f.rows(commodity="metal").index[:2]
    f.flows.loc[at[0], "tonnes"] += 2 * f.flows.loc[at[1], "tonnes"]
    f.flows.loc[at[1], "tonnes"] *= -1


def drop_loss(f: Folder) -> None:
    loss = f.flows[(f.flows["to_id"] == "loss") & (f.flows["state"] == "halted")]
    f.flows = f.flows.drop(loss["tonnes"].idxmax())


def loss_to_surplus(f: Folder) -> None:
    """A plant that loses nothing: balanced, but better than any plant is."""
    loss = (f.flows["to_id"] == "loss") & (f.flows["commodity"] == "oxide") & (f.flows["state"] == "halted")
    at = f.flows[loss]["tonnes"].idxmax()
    f.flows.loc[at, "to_id"] = "surplus"


def swap_grades(f: Folder) -> None:
    a, b = f.largest(commodity="magnet", grade="SH"), f.largest(commodity="magnet", grade="standard")
    f.flows.loc[a, "grade"], f.flows.loc[b, "grade"] = "standard", "SH"


def swap_elements(f: Folder) -> None:
    a, b = f.largest(commodity="oxide", element="Dy"), f.largest(commodity="oxide", element="Tb")
    f.flows.loc[a, "element"], f.flows.loc[b, "element"] = "Tb", "Dy"


def sell_to_the_banned(f: Folder) -> None:
    """Two plants of one grade swap their buyers, so that every balance still closes."""
    rows = f.rows(commodity="magnet", grade="SH")
    home = rows[rows["from_country"] == "CHN"].index[0]
    other = rows[(rows["from_country"] == "JPN") & (rows["to_country"] != "CHN")].index[0]
    t = min(f.flows.loc[home, "tonnes"], f.flows.loc[other, "tonnes"])
    for at, to in ((home, other), (other, home)):
        extra = f.flows.loc[[at]].assign(tonnes=t)
        for c in ("to_id", "to_country"):
            extra[c] = f.flows.loc[to, c]
        f.flows = pd.concat([f.flows, extra], ignore_index=True)
    f.flows.loc[[home, other], "tonnes"] -= t


def wrong_country(f: Folder) -> None:
    """A Chinese plant's sales abroad are written down as another country's."""
    f.flows.loc[f.largest(commodity="magnet", from_country="CHN"), "from_country"] = "JPN"


def through_the_strait(f: Folder) -> None:
    at = f.rows(commodity="oxide").index[0]
    f.flows.loc[at, "passages"] = "malacca"


def ore_it_cannot_crack(f: Folder) -> None:
    """Two mines of like ore swap plants in part: clay to a bastnaesite plant."""
    rows = f.rows(commodity="concentrate")
    clay = rows[rows["from_id"].str.startswith("kachin")].index[0]
    f.flows.loc[clay, "to_id"] = "cnre-baotou-huamei"


def scrap_leaves_china(f: Folder) -> None:
    at = f.largest(commodity="scrap", from_country="CHN")
    f.flows.loc[at, ["to_id", "to_country"]] = f.rows(commodity="scrap", to_country="DEU").iloc[0][["to_id", "to_country"]]


def free_of_duty(f: Folder) -> None:
    f.flows["tariff_usd_t"] = 0.0


def overdeliver(f: Folder) -> None:
    """A buyer gets a tenth more than it needs, its neighbour that much less."""
    rows = f.rows(commodity="magnet", grade="SH", to_country="CHN")
    rows = rows[rows["from_id"] == rows["from_id"].iloc[0]]
    a, b = rows.index[0], rows.index[1]
    t = 0.5 * f.flows.loc[b, "tonnes"]
    f.flows.loc[a, "tonnes"] += t
    f.flows.loc[b, "tonnes"] -= t


# -- Programme and duals ----------------------------------------------------------------------------------------------


def dual(f: Folder) -> None:
    y = f.arrays["halted_y"]
    rhs = np.nan_to_num(f.arrays["halted_row_upper"], posinf=0.0, neginf=0.0)
    y[np.argmax(np.abs(y * rhs))] *= 1.01


def cost(f: Folder) -> None:
    f.arrays["halted_cost"][np.argmax(f.arrays["halted_x"])] += 500_000


def bound(f: Folder) -> None:
    """Relax the bound that costs most: the answer is no optimum of that programme."""
    x, upper = f.arrays["halted_x"], f.arrays["halted_upper"]
    d = f.arrays["halted_cost"] - _matrix(f).T @ f.arrays["halted_y"]
    tight = np.isfinite(upper) & (x >= upper - 1e-9) & (x > 1)
    f.arrays["halted_upper"][np.argmin(np.where(tight, d * x, 0.0))] *= 1.1


def moved(f: Folder) -> None:
    f.arrays["halted_x"][np.argmax(f.arrays["halted_x"])] -= 50


def coefficient(f: Folder) -> None:
    column = int(np.argmax(f.arrays["halted_x"]))
    f.arrays["halted_matrix_data"][f.arrays["halted_matrix_indptr"][column]] *= 1.001


def other_programme(f: Folder) -> None:
    """Each state proves another world: the halted flows stand beside the proof of the baseline."""
    for name in [k for k in f.arrays if k.startswith("halted_")]:
        f.arrays[name] = f.arrays[name.replace("halted_", "baseline_")].copy()
    f.summary["halted"]["objective_usd"] = f.summary["baseline"]["objective_usd"]


def _matrix(f: Folder) -> Any:
    from scipy import sparse

    shape = tuple(f.arrays["halted_matrix_shape"])
    return sparse.csc_matrix(tuple(f.arrays[f"halted_matrix_{k}"] for k in ("data", "indices", "indptr")), shape=shape)


# -- Figures ----------------------------------------------------------------------------------------------------------


def figure(*path: str, by: float = 1.01) -> Callable[[Folder], None]:
    def change(f: Folder) -> None:
        node = f.summary["halted"]
        for k in path[:-1]:
            node = node[k]
        node[path[-1]] *= by

    return change


def shortage_moved(f: Folder) -> None:
    by = f.summary["halted"]["shortage_by_country"]
    by["DEU"], by["FRA"] = by["DEU"] - 100, by["FRA"] + 100


def limit(f: Folder) -> None:
    for feature in f.facilities["features"]:
        if feature["id"] == "lynas-kuantan":
            feature["properties"]["limit_t"] *= 2


def normal(f: Folder) -> None:
    for feature in f.facilities["features"]:
        if feature["properties"].get("normal_t"):
            feature["properties"]["normal_t"] *= 1.05
            feature["properties"]["limit_t"] *= 1.05


CORRUPTIONS: dict[str, tuple[Callable[[Folder], None], str]] = {
    "a flow of concentrate is 1 % larger": (scale("concentrate", 1.01), ""),
    "a flow of oxide is 1 % larger": (scale("oxide", 1.01), ""),
    "a flow of metal is 0.1 % smaller": (scale("metal", 0.999), ""),
    "a flow of magnets is 1 % smaller": (scale("magnet", 0.99), ""),
    "a flow of scrap is lost": (scale("scrap", 0.0), ""),
    "a flow of oxide comes from another plant": (move("oxide", "from_id"), ""),
    "a flow of magnets goes to another buyer": (move("magnet", "to_id"), ""),
    "a flow is negative": (negative, "tonnes"),
    "a closing row is dropped": (drop_loss, ""),
    "a plant that loses nothing": (loss_to_surplus, "recover"),
    "two grades are swapped": (swap_grades, ""),
    "two elements are swapped": (swap_elements, ""),
    "magnets for a banned country": (sell_to_the_banned, "country:CHN@0.7/magnet"),
    "a country of origin is wrong": (wrong_country, "from_country"),
    "a route through the closed strait": (through_the_strait, "malacca"),
    "ore goes where it cannot be cracked": (ore_it_cannot_crack, ""),
    "scrap leaves China": (scrap_leaves_china, ""),
    "duties are left out": (free_of_duty, "duty"),
    "a buyer gets more than it needs": (overdeliver, ""),
    "a dual is changed": (dual, "gap|dual_residual"),
    "a cost is changed": (cost, "gap|dual_residual"),
    "a bound is relaxed": (bound, "gap"),
    "the optimum is moved": (moved, "primal_residual"),
    "a coefficient is changed": (coefficient, "residual|gap"),
    "the proof is of another world": (other_programme, "programme"),
    "shortage of a sector": (figure("shortage_by_sector", "ev"), "shortage_by_sector"),
    "shortage of a grade": (figure("shortage_by_grade", "SH"), "shortage_by_grade"),
    "shortage is moved to a neighbour": (shortage_moved, "shortage_by_country"),
    "the total of shortage": (figure("shortage_t", by=1.001), "short in the programme"),
    "what was supplied": (figure("supplied_t", by=1.001), "supplied_t"),
    "throughput of a strait": (figure("throughput_t", "passage", "taiwan"), "throughput_t"),
    "output of a stage": (figure("stage_output_t", "metal", "CHN", by=1.001), "stage_output_t"),
    "imports": (figure("imports_t", "DEU", "magnet", "JPN"), "imports_t"),
    "what was spent": (figure("spend_usd", by=1.0005), "spend_usd"),
    "the objective": (figure("objective_usd", by=1.0001), "objective_usd"),
    "the bloc's share": (figure("bloc_supplied_share", by=1.001), "bloc_supplied_share"),
    "the limit of a halted plant": (limit, "limit"),
    "what is normal": (normal, "normal"),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corrupted_folder_is_caught(name: str, clean: Folder, study: Study, tmp_path: Path) -> None:
    change, told = CORRUPTIONS[name]
    wrong = clean.copy()
    change(wrong)
    try:
        found = wrong.problems(tmp_path, study.layers)
    except Exception as error:  # a folder that cannot be read is refused, which is as good
        found = [str(error)]
    assert found, "nobody noticed"
    assert any(re.search(told, p) for p in found), found[:5]
    assert not any("since it was written" in p for p in found)


# -- The model's own code ---------------------------------------------------------------------------------------------

Patch = pytest.MonkeyPatch


def in_world(change: Callable[[World], World]) -> Callable[[Patch], None]:
    """Build the world, then spoil it."""

    def apply(patch: Patch) -> None:
        build = world.build_world
        patch.setattr(study_module, "build_world", lambda *a, **k: change(build(*a, **k)))

    return apply


def parameter(**values: float) -> Callable[[Patch], None]:
    return in_world(lambda w: dataclasses.replace(w, parameters={**w.parameters, **values}))


def units(change: Callable[[pd.DataFrame], None]) -> Callable[[Patch], None]:
    def spoil(w: World) -> World:
        u = w.units.copy()
        change(u)
        made = dataclasses.replace(w, units=u)
        object.__setattr__(made, "lanes", world.build_lanes(made))
        return made

    return in_world(spoil)


def recipe(column: str, by: float) -> Callable[[Patch], None]:
    def spoil(w: World) -> World:
        r = w.recipes.copy()
        r[column] *= by
        return dataclasses.replace(w, recipes=r)

    return in_world(spoil)


def yields_swapped(patch: Patch) -> None:
    def wrong(w: World) -> np.ndarray:
        light, heavy = w.parameter("metal_yield_ndpr"), w.parameter("metal_yield_dytb")
        right = {"Nd": light, "Pr": light, "Dy": heavy, "Tb": heavy}
        swapped = [{light: heavy, heavy: light}.get(right.get(e, 1.0), 1.0) for e in w.elements]
        return w.metal_per_oxide * np.array(swapped)

    patch.setattr(World, "metal_yield", property(wrong))


def basket_swapped(u: pd.DataFrame) -> None:
    columns = ["Nd", "Pr", "Dy", "Tb"]
    a, b = "kachin-pangwa", "bayan-obo"
    a = a if a in u.index else next(i for i in u.index if str(i).startswith("kachin"))
    u.loc[[a, b], columns] = u.loc[[b, a], columns].to_numpy()


def capacity_ignored(u: pd.DataFrame) -> None:
    u["capacity_t"] = 1e9


def any_ore(u: pd.DataFrame) -> None:
    u["accepts"] = [()] * len(u)


def any_grade(u: pd.DataFrame) -> None:
    made = u["stage"] == "magnet"
    most = max(u.loc[made, "grades"], key=len)
    u["grades"] = [most if m else g for m, g in zip(made, u["grades"], strict=True)]


def without_a_country(w: World) -> World:
    return dataclasses.replace(w, demand=w.demand[w.demand["country"] != "KOR"].reset_index(drop=True))


def more_scrap(w: World) -> World:
    """Magnets come back without end, and it is nothing to take them to somebody new."""
    m = w.markets.copy()
    m["eol_reo_t"] *= 3
    return dataclasses.replace(w, markets=m, parameters={**w.parameters, "friction_usd_t_scrap": -50_000.0})


def scrap_let_out(w: World) -> World:
    """Call Chinese plants' scrap somebody else's while lanes are made; outside China there is no other."""
    u = w.units
    lanes = world.build_lanes(dataclasses.replace(w, units=u.assign(country=u["country"].replace("CHN", "XXX"))))
    at = u["country"].to_dict() | w.markets["country"].to_dict()
    for side in ("from", "to"):
        lanes[f"{side}_country"] = lanes[f"{side}_id"].map(at)
    own = (lanes["commodity"] != "scrap") | (lanes["to_country"] == "CHN") | (lanes["from_country"] == "CHN")
    free = {**w.parameters, "friction_usd_t_scrap": -50_000.0}
    return dataclasses.replace(w, lanes=lanes[own].reset_index(drop=True), parameters=free)


def without_halts(kind: str) -> Callable[[Patch], None]:
    def apply(patch: Patch) -> None:
        right = restriction.restrict

        def wrong(w: World, scenario: Any, *more: Any) -> Any:
            kept = tuple(h for h in scenario.halts if h.kind != kind)
            return right(w, dataclasses.replace(scenario, halts=kept), *more)

        patch.setattr(solving, "restrict", wrong)

    return apply


def half_as_much(patch: Patch) -> None:
    right = restriction.restrict

    def wrong(*a: Any) -> Any:
        r = right(*a)
        return dataclasses.replace(r, unit_lost={k: v / 2 for k, v in r.unit_lost.items()})

    patch.setattr(solving, "restrict", wrong)


def caps_of_the_part_lost(patch: Patch) -> None:
    """A share is read as the part that stays."""
    right = restriction.restrict

    def wrong(w: World, scenario: Any, *more: Any) -> Any:
        halts = tuple(dataclasses.replace(h, share=1 - h.share if h.share < 1 else 1.0) for h in scenario.halts)
        return right(w, dataclasses.replace(scenario, halts=halts), *more)

    patch.setattr(solving, "restrict", wrong)


def magnets_have_no_element(patch: Patch) -> None:
    right = restriction.covered

    def wrong(w: World, halt: Any) -> np.ndarray:
        mask = right(w, halt)
        return mask & (w.lanes["commodity"] != "magnet").to_numpy() if halt.elements else mask

    patch.setattr(restriction, "covered", wrong)


def no_duty(patch: Patch) -> None:
    right = LaneRouter.__init__

    def wrong(self: LaneRouter, w: World, router: Any, tariff: np.ndarray, *more: Any) -> None:
        right(self, w, router, np.zeros_like(tariff), *more)

    patch.setattr(LaneRouter, "__init__", wrong)


def wraps(module: Any, name: str, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """Spoil what a function returns."""

    def apply(patch: Patch) -> None:
        right = getattr(module, name)
        patch.setattr(module, name, lambda *a, **k: change(right(*a, **k)))

    return apply


def grades_renamed(f: pd.DataFrame) -> pd.DataFrame:
    return f.assign(grade=f["grade"].replace({"SH": "UH", "UH": "SH"}))


def no_surplus(f: pd.DataFrame) -> pd.DataFrame:
    return f[f["to_id"] != "surplus"]


def lossless(f: pd.DataFrame) -> pd.DataFrame:
    return f.assign(to_id=f["to_id"].where(f["commodity"] != "oxide", "surplus"))


def less_shortage(d: pd.DataFrame) -> pd.DataFrame:
    return d.assign(short_t=d["short_t"] * 0.9)


def first_sectors_first(d: pd.DataFrame) -> pd.DataFrame:
    """All shortage of a market and grade falls on its last sector, whatever its class."""
    out = d.copy()
    for _, part in d.groupby(["market", "grade"]):
        left = part["short_t"].sum()
        for i in reversed(part.index):
            out.loc[i, "short_t"] = min(left, part.at[i, "demand_t"])
            left -= out.at[i, "short_t"]
    return out


def one_passage(t: dict[str, Any]) -> dict[str, Any]:
    return {k: dict(list(v.items())[:1]) for k, v in t.items()}


MODEL: dict[str, tuple[Callable[[Patch], None], tuple[str, ...], str]] = {
    "recovery of 0.97": (parameter(separation_recovery=0.97), (), "recover"),
    "swarf recovered whole": (parameter(swarf_recovery=1.0), (), "recover"),
    "metal yields on the wrong elements": (yields_swapped, (), "recover"),
    "metal per oxide of 1": (parameter(metal_per_oxide_nd=1.0), (), ""),
    "recipes without the loss of blanks": (recipe("NdPr", 0.72), (), "NdPr"),
    "recipes with half the dysprosium": (recipe("Dy", 0.5), (), "Dy"),
    "swarf not counted": (recipe("swarf_reo_t", 0.0), (), "swarf"),
    "a mine's basket swapped": (units(basket_swapped), (), ""),
    "surge unlimited": (
        parameter(surge_share=10.0, surge_share_mine=10.0, surge_share_metal=10.0, surge_share_magnet=10.0, surge_share_separation=10.0, surge_share_recycling=10.0),
        MAGNETS, "limit",
    ),
    "capacity ignored": (units(capacity_ignored), MAGNETS, "limit|capacity"),
    "any plant takes any ore": (units(any_ore), ("stage:MMR/mine",), "ore|accept"),
    "any plant makes any grade": (units(any_grade), MAGNETS, "grade"),
    "Pr bounds off": (parameter(ndpr_pr_min=0.32, ndpr_pr_max=1.0), (), "Pr"),
    "demand of one country dropped": (in_world(without_a_country), (), "KOR"),
    "more scrap than is collected": (in_world(more_scrap), (), "collected"),
    "scrap let out of China": (in_world(scrap_let_out), (), "scrap"),
    "a country's halt ignored": (without_halts("country"), MAGNETS, "country:CHN@0.7/magnet"),
    "a closed strait kept open": (without_halts("passage"), ("passage:malacca",), "passage:malacca"),
    "a lost plant still runs": (without_halts("facility"), ("facility:lynas-kuantan",), "lynas-kuantan"),
    "half of a halt": (half_as_much, ("stage:CHN/metal@0.5",), "limit"),
    "a share read as what stays": (caps_of_the_part_lost, MAGNETS, "country:CHN@0.7/magnet"),
    "element halts let magnets through": (magnets_have_no_element, ("country:JPN/Dy,Tb",), "country:JPN/Dy,Tb"),
    "duties forgotten": (no_duty, (), "duty"),
    "grades swapped when read back": (wraps(readback, "_flow_rows", grades_renamed), (), ""),
    "surplus not read back": (wraps(readback, "_closing_rows", no_surplus), (), "recover"),
    "losses read back as surplus": (wraps(readback, "_closing_rows", lossless), (), "recover"),
    "a tenth of shortage not counted": (wraps(readback, "_shortage", less_shortage), MAGNETS, ""),
    "shortage on the wrong sectors": (wraps(readback, "_shortage", first_sectors_first), MAGNETS, "share"),
    "spending without freight": (wraps(readback, "_spend", lambda usd: usd * 0.999), (), "spend_usd"),
    "throughput of the first of each only": (wraps(summary, "throughput", one_passage), (), "throughput_t"),
}  # fmt: skip


# These run with the slow tests; the others show each kind once.
SLOW = {
    "swarf recovered whole", "metal per oxide of 1", "recipes with half the dysprosium", "capacity ignored",
    "any plant takes any ore", "any plant makes any grade", "more scrap than is collected", "a closed strait kept open",
    "a lost plant still runs", "half of a halt", "a share read as what stays", "element halts let magnets through",
    "surplus not read back", "losses read back as surplus", "shortage on the wrong sectors",
    "throughput of the first of each only",
}  # fmt: skip


@contextlib.contextmanager
def another(study: Study) -> Iterator[Study]:
    """Return a study that states, solves and reads anew; routes and calibration are those of the shipped one."""
    made = Study(study.layers, study.year)
    made.__dict__ |= {k: getattr(study, k) for k in ("router", "calibration", "names", "blocs")}
    yield made


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW or k % 3 else n for k, n in enumerate(MODEL)])
def test_a_wrong_model_is_caught(
    name: str, study: Study, solved: dict[tuple[str, ...], Folder], tmp_path: Path, monkeypatch: Patch
) -> None:
    spoil, halts, told = MODEL[name]
    if halts not in solved:
        solved[halts] = Folder.of(study.solve(halts))
        assert solved[halts].problems(tmp_path / "right", study.layers) == []
    with monkeypatch.context() as patch, another(study) as wrong:
        spoil(patch)
        outcome = wrong.solve(halts)
        folder = Folder.of(outcome)
    found = folder.problems(tmp_path / "wrong", study.layers)
    assert found, "nobody noticed"
    assert any(re.search(told, p) for p in found), found[:5]


def test_the_unspoilt_folder_is_clean(clean: Folder, study: Study, tmp_path: Path) -> None:
    assert clean.problems(tmp_path, study.layers) == []
