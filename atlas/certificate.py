"""Check a solution without a solver: residuals, duality gap, and balances from flows alone.

Nothing here imports the model. `programme_certificate` proves optimality of a stored programme from its primal and
dual; `flow_problems` recomputes every balance from `flows.csv` and the layers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from atlas.layers import Layers

ELEMENTS = ("Nd", "Pr", "Dy", "Tb")


def programme_certificate(
    cost: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    matrix: sparse.csc_matrix,
    row_lower: np.ndarray,
    row_upper: np.ndarray,
    offset: float,
    x: np.ndarray,
    y: np.ndarray,
) -> dict[str, float]:
    """Return primal_residual, dual_residual and gap of min cost @ x + offset with row and column bounds.

    Residuals are relative to 1 + max|finite rhs| and 1 + max|cost|, the gap to 1 + |objective|. The dual objective is
    a true lower bound: a reduced cost that no finite bound can carry counts as dual residual.
    """
    ax = matrix @ x
    miss = [row_lower - ax, ax - row_upper, lower - x, x - upper]
    primal = max((float(np.max(m[np.isfinite(m)], initial=0.0)) for m in miss), default=0.0)
    finite = np.concatenate([b[np.isfinite(b)] for b in (row_lower, row_upper)])
    d = cost - matrix.T @ y
    dual = max(_unbounded(d, lower, upper), _unbounded(y, row_lower, row_upper))
    bound = offset + _support(d, lower, upper) + _support(y, row_lower, row_upper)
    objective = float(cost @ x) + offset
    return {
        "primal_residual": primal / (1 + float(np.max(np.abs(finite), initial=0.0))),
        "dual_residual": dual / (1 + float(np.max(np.abs(cost), initial=0.0))),
        "gap": abs(objective - bound) / (1 + abs(objective)),
    }


def _unbounded(d: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    free_below = np.where(np.isfinite(lower), 0.0, np.maximum(d, 0.0))
    free_above = np.where(np.isfinite(upper), 0.0, np.maximum(-d, 0.0))
    return float(max(free_below.max(initial=0.0), free_above.max(initial=0.0)))


def _support(d: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    low, high = np.where(np.isfinite(lower), lower, 0.0), np.where(np.isfinite(upper), upper, 0.0)
    return float(np.sum(np.where(d > 0, d * low, d * high)))


def check_arrays(arrays: Mapping[str, Any]) -> dict[str, float]:
    """Return the certificate of one stored state (keys as `programme_arrays` writes them)."""
    shape = tuple(int(k) for k in arrays["matrix_shape"])
    matrix = sparse.csc_matrix((arrays["matrix_data"], arrays["matrix_indices"], arrays["matrix_indptr"]), shape=shape)
    names = ("cost", "lower", "upper")
    c, low, high = (np.asarray(arrays[k], dtype=float) for k in names)
    rl, ru = np.asarray(arrays["row_lower"], dtype=float), np.asarray(arrays["row_upper"], dtype=float)
    return programme_certificate(
        c, low, high, matrix, rl, ru, float(arrays["offset"]), np.asarray(arrays["x"]), np.asarray(arrays["y"])
    )


def flow_problems(flows: pd.DataFrame, layers: Layers, state: str, *, tolerance: float = 1e-6) -> list[str]:
    """Recompute every balance of one state from flows and layers; return what does not close, in words.

    A balance may miss by `tolerance` of the unit's throughput plus 1e-4 t (flows under a gram-scale floor are dropped).
    """
    f = flows[flows["state"] == state]
    book = _Book(f, layers)
    problems: list[str] = []
    for i in sorted(set(f["from_id"]) | set(f["to_id"])):
        if i not in layers.facilities.index:
            continue
        unit = layers.facilities.loc[i]
        for what, left, scale in book.balances(str(i), str(unit["stage"]), str(unit["product"])):
            if abs(left) > tolerance * scale + 1e-4:
                problems.append(f"{i}: {what} is off by {left:.6g} t of {scale:.6g} t")
    return problems


def capacity_problems(flows: pd.DataFrame, layers: Layers, state: str, *, tolerance: float = 1e-6) -> list[str]:
    """Recompute every unit's output of one state from flows; return those above their nameplate, in words.

    Units that are not in `layers` (a scenario's own plants) are passed over.
    """
    f = flows[(flows["state"] == state) & ~flows["to_id"].isin(["surplus", "loss"])]
    out = f[f["to_id"] != "stock"].groupby(["from_id", "commodity"])["tonnes"].sum().to_dict()
    stock = f[f["to_id"] == "stock"].groupby("from_id")["tonnes"].sum().to_dict()
    into = f[f["commodity"] == "concentrate"].groupby("to_id")["tonnes"].sum().to_dict()
    oxide_of_metal = {e: 1 / float(layers.parameters[f"metal_per_oxide_{e.lower()}"]) for e in ELEMENTS}
    metal = f[(f["commodity"] == "metal") & (f["to_id"] != "stock")]
    powder = (metal["tonnes"] * metal["element"].map(oxide_of_metal)).groupby(metal["from_id"]).sum().to_dict()
    problems = []
    for i in sorted(set(f["from_id"]) & set(layers.facilities.index)):
        stage = str(layers.facilities.at[i, "stage"])
        capacity = float(layers.facilities.at[i, "capacity_t"])
        made = {
            "mine": out.get((i, "concentrate"), 0.0),
            "separation": into.get(i, 0.0),
            "metal": out.get((i, "metal"), 0.0) + stock.get(i, 0.0),
            "magnet": out.get((i, "magnet"), 0.0),
            "recycling": out.get((i, "oxide"), 0.0) + powder.get(i, 0.0),
        }[stage]
        if made > capacity * (1 + tolerance) + 1e-4:
            problems.append(f"{i}: {made:.6g} t is above its capacity of {capacity:.6g} t")
    return problems


class _Book:
    """Sums of flows by unit, ready to be balanced."""

    def __init__(self, f: pd.DataFrame, layers: Layers) -> None:
        self.layers = layers
        p = layers.parameters
        self.per_oxide = {e: float(p[f"metal_per_oxide_{e.lower()}"]) for e in ELEMENTS}
        self.finished = float(p["blank_to_finished"])
        self.pr = float(p["swarf_pr_in_ndpr"])
        keys = ["commodity", "element"]
        self.into = f.groupby(["to_id", *keys])["tonnes"].sum().to_dict()
        real = f[~f["to_id"].isin(["surplus", "stock", "loss"])]
        self.out = real.groupby(["from_id", *keys])["tonnes"].sum().to_dict()
        ends = f[f["to_id"].isin(["surplus", "stock", "loss"])]
        self.ends = ends.groupby(["from_id", *keys])["tonnes"].sum().to_dict()
        self.magnets = f[f["commodity"] == "magnet"].groupby(["from_id", "grade"])["tonnes"].sum().to_dict()
        self.ore = self._ore(f)

    def _ore(self, f: pd.DataFrame) -> dict[tuple[str, str], float]:
        """Element tonnes of concentrate into each unit; what a cracking plant sells carries the mix that it took in."""
        c = f[f["commodity"] == "concentrate"]
        fac = self.layers.facilities
        share = {
            (str(i), e): float(fac.at[i, f"{e.lower()}_share"] or 0.0)
            for i in set(c["from_id"])
            for e in ELEMENTS
            if fac.at[i, "stage"] == "mine"
        }
        mixed: dict[tuple[str, str], float] = {}
        crackers = [i for i in sorted(set(c["from_id"])) if fac.at[i, "stage"] != "mine"]
        for i in crackers:
            part = c[c["to_id"] == i]
            for e in ELEMENTS:
                mixed[i, e] = sum(t * share[m, e] for m, t in zip(part["from_id"], part["tonnes"], strict=True)) / max(
                    part["tonnes"].sum(), 1e-12
                )
        total: dict[tuple[str, str], float] = {}
        for origin, to, t in zip(c["from_id"], c["to_id"], c["tonnes"], strict=True):
            for e in ELEMENTS:
                total[to, e] = total.get((to, e), 0.0) + t * (
                    share.get((origin, e)) if (origin, e) in share else mixed[origin, e]
                )
        return total

    def balances(self, i: str, stage: str, product: str) -> list[tuple[str, float, float]]:
        """Return (what, tonnes left over, scale) for every balance of a unit."""
        if stage == "mine":
            return []
        if product == "carbonate":
            came, went = self.into.get((i, "concentrate", ""), 0.0), self.out.get((i, "concentrate", ""), 0.0)
            return [("concentrate", came - went, max(came, went))]
        if stage == "magnet":
            return self._magnet(i, product)
        rows = []
        for e in ELEMENTS:
            r = self.per_oxide[e]
            if stage == "separation":
                came = self.ore.get((i, e), 0.0)
                went = self.out.get((i, "oxide", e), 0.0) + self.ends.get((i, "oxide", e), 0.0)
            elif stage == "recycling":
                came = self.into.get((i, "scrap", e), 0.0)
                went = (
                    self.out.get((i, "oxide", e), 0.0)
                    + self.out.get((i, "metal", e), 0.0) / r
                    + self.ends.get((i, "oxide", e), 0.0)
                )
            else:
                came = self.into.get((i, "oxide", e), 0.0) * r + self.into.get((i, "metal", e), 0.0)
                went = self.out.get((i, "metal", e), 0.0) + self.ends.get((i, "metal", e), 0.0)
            rows.append((e, came - went, max(came, went)))
        return rows

    def _magnet(self, i: str, product: str) -> list[tuple[str, float, float]]:
        grades = self.layers.grades
        need = dict.fromkeys(("NdPr", "Dy", "Tb"), 0.0)
        swarf = dict.fromkeys(ELEMENTS, 0.0)
        for (p, g), t in self.magnets.items():
            if p != i:
                continue
            blank = t if product == "bonded" else t / self.finished
            content = {k: blank * float(grades.at[g, f"{k.lower()}_t_per_t"]) for k in need}
            for k in need:
                need[k] += content[k]
            if product != "bonded":
                waste = 1 - self.finished
                parts = {
                    "Nd": content["NdPr"] * (1 - self.pr),
                    "Pr": content["NdPr"] * self.pr,
                    "Dy": content["Dy"],
                    "Tb": content["Tb"],
                }
                for e in ELEMENTS:
                    swarf[e] += parts[e] * waste / self.per_oxide[e]
        rows = []
        for k, t in need.items():
            came = sum(self.into.get((i, "metal", e), 0.0) for e in (("Nd", "Pr") if k == "NdPr" else (k,)))
            rows.append((k, came - t, max(came, t)))
        for e in ELEMENTS:
            went = self.out.get((i, "scrap", e), 0.0) + self.ends.get((i, "scrap", e), 0.0)
            rows.append((f"{e} in swarf", swarf[e] - went, max(swarf[e], went)))
        return rows
