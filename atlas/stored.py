"""Verify a stored result folder without a solver and without the model.

The certificate is recomputed from the stored programme and duals; balances, yields, limits, lane rules and halts from
`flows.csv` and the layers, and the figures of `summary.json` from both. What a scenario changes beside halts is not in
the layers, so `_judgeable` says what is passed over then.
"""

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from atlas.balances import BASE_YEAR, ENDS, capacity_problems, flow_problems, limit_problems
from atlas.certificate import check_arrays, link_problems
from atlas.errors import BadInput
from atlas.halt import Halt, Names, parse_halt
from atlas.halt_check import halt_problems, units_lost
from atlas.lane_rules import LaneRules
from atlas.layers import Layers
from atlas.recount import demand_problems, figure_problems, spend_problems
from atlas.way import known_borders

STATES = ("baseline", "halted")
TOLERANCE = 1e-6  # of residuals, gap and balances
SUMMARY_DIGITS = 5e-6  # the summary is rounded to 6 significant digits
_NUMBERS = ("tonnes", "distance_km", "days", "cost_usd_t", "tariff_usd_t")
_COLUMNS = (
    "state", "commodity", "element", "grade", "from_id", "from_country", "to_id", "to_country", "tonnes", "distance_km",
    "days", "cost_usd_t", "passages", "ports", "borders", "route_id",
)  # fmt: skip
# What the scenario of a summary says beside its changes, and which of its changes touch what. Anything else that it
# may come to say is taken to change everything.
_PLAIN = {"name", "note", "halts", "surcharges", "year", "on", "start", "days", "transit", "opened"}
_DEMAND, _UNITS, _DUTIES, _EXPORTS = {"demand"}, {"facilities"}, {"tariffs"}, {"transshipment"}
_PRIORITY, _BUYERS = {"priority", "contracts"}, {"buyers"}
_STOCKS = {"stocks"}
_DRAWN = {"draw"}  # other layers in both states


@dataclass(frozen=True)
class Judgeable:
    """What of the halted state can be judged by layers that know no more than the baseline.

    `demand`, `units`, `duties`, `exports`, `priority` and `chemistry` say whether the scenario leaves those as the
    layers have them; `normal` whether what is stored as normal output is that of both states; `known` are ids of its
    own. The baseline is always judged, but for `buyers`, who are part of both states, and where layers are `drawn`.
    Where `stocks` are let go, the programme has more sources than plants.
    """

    demand: bool = True
    units: bool = True
    duties: bool = True
    exports: bool = True
    priority: bool = True
    chemistry: bool = True
    normal: bool = True
    buyers: bool = False
    drawn: bool = False
    stocks: bool = False
    known: frozenset[str] = frozenset()


def check_folder(folder: str | Path, layers: Layers) -> dict[str, Any]:
    """Return {"ok", "problems", "scenario", "certificate": {state: figures}, "objective_usd": {state: USD}}.

    `folder` was written by `atlas solve --out`. Raises BadInput if it cannot be read as one.
    """
    answer = _read(Path(folder))
    summary = answer.summary
    problems = _broken_seals(Path(folder), answer.arrays, layers)
    halts, unread = _halts(summary, layers)
    problems += unread
    judge = _judgeable(summary, answer, layers)
    figures: dict[str, Any] = {}
    objectives: dict[str, float] = {}
    for state in STATES:
        own = {k.removeprefix(f"{state}_"): v for k, v in answer.arrays.items() if k.startswith(f"{state}_")}
        try:
            figures[state] = check_arrays(own)
            objectives[state] = float(own["cost"] @ own["x"] + own["offset"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise BadInput(f"{folder}: certificate.npz does not hold the {state} programme: {error}") from None
        for name, value in figures[state].items():
            if not value <= TOLERANCE:
                problems.append(f"{state}: {name} is {value:.3g}, more than {TOLERANCE:g}")
        told = _state_problems(answer, layers, state, own, judge if state == "halted" else _open(judge), halts)
        said = summary[state]["objective_usd"]
        if not math.isclose(said, objectives[state], rel_tol=2 * SUMMARY_DIGITS):
            told.append(f"objective_usd is stated as {said:.6g}, but comes to {objectives[state]:.6g}")
        problems += [f"{state}: {p}" for p in told]
    problems += _both_states(answer, layers, judge, halts)
    if objectives["halted"] < objectives["baseline"] * (1 - TOLERANCE) and _only_halts(summary):
        problems.append("the objective falls under halts, which no optimum of one programme does")
    return {
        "ok": not problems, "problems": problems, "scenario": summary["scenario"], "certificate": figures,
        "objective_usd": objectives,
    }  # fmt: skip


def _state_problems(
    answer: "Answer",
    layers: Layers,
    state: str,
    arrays: Mapping[str, np.ndarray],
    judge: Judgeable,
    halts: Sequence[Halt],
) -> list[str]:
    """Return what is wrong with one state's flows and figures by themselves."""
    flows, stated, year = answer.flows, answer.summary[state], answer.year
    part = flows[flows["state"] == state]
    problems: list[str] = []
    if judge.chemistry:
        problems += flow_problems(flows, layers, state, tolerance=TOLERANCE, year=year)
    if judge.units:
        problems += capacity_problems(flows, layers, state)
        problems += LaneRules(layers, year, judge.known).problems(flows, state, duties=judge.duties)
    problems += demand_problems(part, layers, stated, plain=judge.demand and not judge.buyers, ranked=judge.priority)
    whole = judge.demand and judge.units and judge.chemistry and not judge.buyers
    problems += figure_problems(part, layers, stated, bloc=_bloc(answer, layers), judged=whole)
    if judge.normal and judge.chemistry and len(answer.units):
        problems += spend_problems(part, layers, stated, answer.units)
    one_way = judge.exports and not (
        state == "halted" and any(h.share < 1 and h.kind in ("port", "passage", "border") for h in halts)
    )
    if not judge.stocks:
        problems += link_problems(arrays, part, stated["demand_t"], stated["shortage_t"], lanes=one_way)
    return problems


def _both_states(answer: "Answer", layers: Layers, judge: Judgeable, halts: Sequence[Halt]) -> list[str]:
    """Return what is wrong with the halted state beside the baseline: limits and halts."""
    if not len(answer.units):
        return []
    problems = []
    if judge.units and judge.chemistry:
        lost = units_lost(layers, halts)
        problems += limit_problems(
            answer.flows, layers, answer.units, lost=lost, year=answer.year, skip=judge.known, fitted=not judge.buyers
        )
        problems += halt_problems(answer.flows, layers, halts, answer.units, exports=judge.exports)
    else:
        # What is closed whole is closed, whatever the scenario changes beside it.
        whole = [h for h in halts if h.share == 1]
        problems += halt_problems(answer.flows, layers, whole, answer.units, exports=judge.exports)
    return problems


def _judgeable(summary: Mapping[str, Any], answer: "Answer", layers: Layers) -> Judgeable:
    """Return what a scenario leaves as it is, from what its summary says of it."""
    scenario = summary["scenario"]
    said = {k for k, v in scenario.items() if v is not None and k not in _PLAIN}
    own = {*layers.facilities.index, *layers.demand.index, *layers.markets.index, *ENDS}
    ends = {*answer.flows["from_id"], *answer.flows["to_id"]}
    foreign = frozenset(ends - own) if said else frozenset()
    buyers = bool(said & _BUYERS)
    free = bool(said - _BUYERS - _UNITS - _DEMAND - _DUTIES - _EXPORTS - _PRIORITY - _STOCKS)
    return Judgeable(
        demand=not (free or said & _DEMAND),
        units=not (free or said & _UNITS),
        duties=not (free or said & (_DUTIES | _EXPORTS)),
        exports=not (free or said & _EXPORTS),
        priority=not (free or said & _PRIORITY),
        chemistry=not free,
        normal=not (free or said & _UNITS),
        buyers=buyers,
        drawn=bool(said & _DRAWN),
        stocks=bool(said & _STOCKS),
        known=foreign,
    )


def _open(judge: Judgeable) -> Judgeable:
    """Return what of the baseline can be judged: all but what buyers of a scenario's own make of demand."""
    if judge.drawn:
        return judge
    return Judgeable(normal=judge.normal, buyers=judge.buyers, known=judge.known)


def _halts(summary: Mapping[str, Any], layers: Layers) -> tuple[list[Halt], list[str]]:
    """Return the halts of an answer, and which of them cannot be read."""
    names = Names.of(layers, known_borders(layers.directory("network")))
    halts, problems = [], []
    for spec in summary["scenario"]["halts"]:
        try:
            halts.append(parse_halt(spec, names))
        except BadInput as error:
            problems += error.problems
    return halts, problems


def _bloc(answer: "Answer", layers: Layers) -> frozenset[str]:
    name = str(answer.summary.get("bloc", ""))
    return layers.bloc(name) if name in layers.bloc_names else frozenset()


def _broken_seals(folder: Path, arrays: Mapping[str, np.ndarray], layers: Layers) -> list[str]:
    """Return which files are not those that were written with the certificate."""
    if not {"sealed_files", "sealed_sha256", "sealed_layers"} <= set(arrays):
        return ["certificate.npz carries no seals of the other files"]
    found = []
    for name, seal in zip(arrays["sealed_files"].tolist(), arrays["sealed_sha256"].tolist(), strict=True):
        path = folder / Path(name).name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != seal:
            found.append(f"{name} was changed since it was written")
    if str(arrays["sealed_layers"]) != layers.digest:
        found.append("the answer was made with other layers than these; give the same --layers")
    return found


def _only_halts(summary: Mapping[str, Any]) -> bool:
    """Return whether the total demand is that of the baseline, so that the law about the objective applies."""
    return bool(summary["scenario"]["halts"]) and summary["halted"]["demand_t"] == summary["baseline"]["demand_t"]


@dataclass(frozen=True)
class Answer:
    """A stored answer: `units` is what facilities.geojson says of outputs and limits, empty where there is none."""

    summary: dict[str, Any]
    flows: pd.DataFrame
    arrays: dict[str, np.ndarray]
    units: pd.DataFrame

    @property
    def year(self) -> int:
        """The year the answer is for."""
        return int(self.summary["scenario"].get("year") or BASE_YEAR)


def _read(folder: Path) -> Answer:
    """Return what a folder holds; raise BadInput with everything that is wrong with the files."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder")
    missing = [n for n in ("summary.json", "flows.csv", "certificate.npz") if not (folder / n).is_file()]
    if missing:
        raise BadInput(f"{folder} is not a stored result: {', '.join(missing)} missing")
    problems: list[str] = []
    summary: dict[str, Any] = {}
    flows = pd.DataFrame()
    arrays: dict[str, np.ndarray] = {}
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        for state in STATES:
            for name in ("supplied_t", "demand_t", "shortage_t", "objective_usd"):
                float(summary[state][name])
        list(summary["scenario"]["halts"])
    except (ValueError, KeyError, TypeError) as error:
        problems.append(f"{folder}: summary.json cannot be read: {error!r}")
    try:
        flows = pd.read_csv(folder / "flows.csv", keep_default_na=False, dtype=str)
        for name in [n for n in _NUMBERS if n in flows]:
            flows[name] = pd.to_numeric(flows[name].replace("", "nan"))
        flows = flows.astype(
            {c: object for c in flows.columns if c not in _NUMBERS}
        )  # quicker to walk than text arrays
        flows[list(_COLUMNS)]
        if not np.isfinite(flows["tonnes"]).all() or (flows["tonnes"] < 0).any():
            raise ValueError("tonnes must be finite and not negative")
    except (ValueError, KeyError) as error:
        problems.append(f"{folder}: flows.csv cannot be read: {error}")
    try:
        with np.load(folder / "certificate.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        told = str(error).split(";")[0].split("allow_pickle")[0]  # numpy advises to load it unsafely
        problems.append(f"{folder}: certificate.npz cannot be read: {told}")
    units = _read_units(folder / "facilities.geojson", problems)
    if problems:
        raise BadInput(problems)
    return Answer(summary, flows, arrays, units)


def _read_units(path: Path, problems: list[str]) -> pd.DataFrame:
    """Return baseline_t, halted_t, normal_t and limit_t of the facilities that run, by id; empty without the file."""
    columns = ["baseline_t", "halted_t", "normal_t", "limit_t"]
    if not path.is_file():
        return pd.DataFrame(columns=columns, dtype=float)
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        rows = {str(f["id"]): [f["properties"].get(c) for c in columns] for f in features}
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float).dropna()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problems.append(f"{path.parent}: facilities.geojson cannot be read: {error!r}")
        return pd.DataFrame(columns=columns, dtype=float)
