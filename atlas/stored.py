"""Verify a stored result folder without a solver and without the model.

The certificate is recomputed from the stored programme and duals, the balances from `flows.csv` and the layers, and the
totals of `summary.json` from both.
"""

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from atlas.certificate import capacity_problems, check_arrays, flow_problems
from atlas.errors import BadInput
from atlas.layers import Layers

STATES = ("baseline", "halted")
TOLERANCE = 1e-6  # of residuals, gap and balances
SUMMARY_DIGITS = 5e-6  # the summary is rounded to 6 significant digits
_NUMBERS = ("tonnes", "distance_km", "days", "cost_usd_t", "tariff_usd_t")


def check_folder(folder: str | Path, layers: Layers) -> dict[str, Any]:
    """Return {"ok", "problems", "scenario", "certificate": {state: figures}, "objective_usd": {state: USD}}.

    `folder` was written by `atlas solve --out`. Raises BadInput if it cannot be read as one.
    """
    summary, flows, arrays = _read(Path(folder))
    problems = _broken_seals(Path(folder), arrays, layers)
    figures: dict[str, Any] = {}
    objectives: dict[str, float] = {}
    for state in STATES:
        own = {k.removeprefix(f"{state}_"): v for k, v in arrays.items() if k.startswith(f"{state}_")}
        try:
            figures[state] = check_arrays(own)
            objectives[state] = float(own["cost"] @ own["x"] + own["offset"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise BadInput(f"{folder}: certificate.npz does not hold the {state} programme: {error}") from None
        for name, value in figures[state].items():
            if not value <= TOLERANCE:
                problems.append(f"{state}: {name} is {value:.3g}, more than {TOLERANCE:g}")
        problems += [f"{state}: {p}" for p in flow_problems(flows, layers, state, tolerance=TOLERANCE)]
        problems += [f"{state}: {p}" for p in capacity_problems(flows, layers, state)]
        part = flows[flows["state"] == state]
        problems += [f"{state}: {p}" for p in _totals(summary[state], part, objectives[state])]
    if objectives["halted"] < objectives["baseline"] * (1 - TOLERANCE) and _only_halts(summary):
        problems.append("the objective falls under halts, which no optimum of one programme does")
    return {
        "ok": not problems, "problems": problems, "scenario": summary["scenario"], "certificate": figures,
        "objective_usd": objectives,
    }  # fmt: skip


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


def _totals(stated: Mapping[str, Any], flows: pd.DataFrame, objective_usd: float) -> list[str]:
    """Return where the summary says something else than the flows and the programme."""
    delivered = float(flows.loc[flows["commodity"] == "magnet", "tonnes"].sum())
    pairs = [
        ("supplied_t", stated["supplied_t"], delivered),
        ("demand_t", stated["demand_t"], delivered + stated["shortage_t"]),
        ("objective_usd", stated["objective_usd"], objective_usd),
    ]
    return [
        f"{name} is stated as {said:.6g}, but comes to {found:.6g}"
        for name, said, found in pairs
        if not math.isclose(said, found, rel_tol=2 * SUMMARY_DIGITS, abs_tol=1e-3)
    ]


def _only_halts(summary: Mapping[str, Any]) -> bool:
    """Return whether the total demand is that of the baseline, so that the law about the objective applies."""
    return bool(summary["scenario"]["halts"]) and summary["halted"]["demand_t"] == summary["baseline"]["demand_t"]


def _read(folder: Path) -> tuple[dict[str, Any], pd.DataFrame, dict[str, np.ndarray]]:
    """Return summary, flows and arrays of a folder; raise BadInput with everything that is wrong with the files."""
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
        flows[["state", "commodity", "element", "grade", "from_id", "to_id", "tonnes"]]
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
    if problems:
        raise BadInput(problems)
    return summary, flows, arrays
