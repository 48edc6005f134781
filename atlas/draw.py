"""Layers with what is uncertain in them drawn anew: one seed, one possible world.

Drawn: capacity and output of each unit by one factor (a published output never passes its capacity by the draw, and the
USGS figure beside it keeps its ratio); each element's share in a basket; the grades a sector needs; demand by country
and sector; yields and recoveries. How far is data: `range_share_a`, `_b`, `_c` of parameters.csv, by the confidence of
the row.

Not drawn: places and routes, prices, costs and duties, recipes of grades, stoichiometry, published trade (`targets`),
how markets behave (friction, penalties, surge, priority), and what exists at all. A draw says how far the answer hangs
on the size of things, not on these.

A factor is exp(t) with t triangular on -h to h, h = log(1 + range): small errors are likelier than large ones, none
passes the range, and a factor and its inverse are equally likely, so that no class of rows is pushed one way. A yield
is drawn so in its odds, y / (1 - y), which keeps it below 1 and moves what is lost by about the range.

Every figure is drawn by itself: rows share no error. Where they do - one consultant's estimate behind many rows - the
spread of totals comes out too small. A figure's draw hangs on the seed, its layer, id and column alone, so another
order of rows, or one row more, changes no other draw. Two sums are held afterwards, and there such a row does count:
the grades of a sector sum to what they did (1), and so does demand, because the calibrated year's total is known better
(from what was made) than who took it.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Sequence
from numbers import Integral

import pandas as pd

from atlas.errors import BadInput, LayerError
from atlas.layers import Layers

_BASKET = re.compile(r"[a-z]{1,2}_share")
_YIELD = re.compile(r"(.*_)?(yield|recovery)(_.*)?|blank_to_finished")


def drawn_layers(layers: Layers, seed: int) -> Layers:
    """Return `layers` with everything uncertain drawn by `seed`; the digest tells draws apart.

    Raises BadInput for a seed that is not a whole number, LayerError where a range is missing.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise BadInput(f"draw {seed!r}: expected a whole number")
    draw = _Draw(int(seed), _ranges(layers))
    rows = draw.yields(layers.parameter_rows)
    return dataclasses.replace(
        layers,
        facilities=draw.facilities(layers.facilities),
        demand=draw.held(layers.demand, "demand", "demand_t", []),
        sector_grades=draw.held(layers.sector_grades, "sector_grades", "share", ["sector"]),
        parameter_rows=rows,
        parameters=rows["value"],
        digest=hashlib.sha256(f"{layers.digest} draw {int(seed)}".encode()).hexdigest(),
    )


def _ranges(layers: Layers) -> dict[str, float]:
    names = {c: f"range_share_{c.lower()}" for c in ("A", "B", "C")}
    problems = [f"parameters.csv: no row `{n}`" for n in names.values() if n not in layers.parameters.index]
    found = {c: float(layers.parameters[n]) for c, n in names.items() if n in layers.parameters.index}
    problems += [f"parameters.csv: {names[c]} is {r:g}; expected 0 to 10" for c, r in found.items() if not 0 <= r <= 10]
    if problems:
        raise LayerError(problems)
    return found


@dataclasses.dataclass(frozen=True)
class _Draw:
    seed: int
    ranges: dict[str, float]

    def factor(self, layer: str, row: str, column: str, confidence: str) -> float:
        """Return the factor of one figure, within 1 / (1 + range) and 1 + range."""
        digest = hashlib.sha256(f"{self.seed}\0{layer}\0{row}\0{column}".encode()).digest()
        u, v = (int.from_bytes(digest[k : k + 7], "big") / 2**56 for k in (0, 8))  # two numbers over [0, 1)
        return math.exp((u + v - 1) * math.log1p(self.ranges[confidence]))

    def factors(self, table: pd.DataFrame, layer: str, column: str) -> pd.Series:
        """Return the factor of each row of a table."""
        drawn = [self.factor(layer, str(i), column, str(c)) for i, c in table["confidence"].items()]
        return pd.Series(drawn, index=table.index)

    def facilities(self, table: pd.DataFrame) -> pd.DataFrame:
        """Draw size and basket of each unit; a basket that would pass 1 is scaled back to it."""
        table = table.copy()
        size = self.factors(table, "facilities", "capacity_t")
        for c in ("capacity_t", "output_t", "usgs_output_t"):
            table[c] = table[c] * size
        basket = [c for c in table.columns if _BASKET.fullmatch(str(c))]
        for c in basket:
            table[c] = table[c] * self.factors(table, "facilities", c)
        over = table[basket].sum(axis=1).clip(lower=1.0)
        for c in basket:
            table[c] = table[c] / over
        return table

    def held(self, table: pd.DataFrame, layer: str, column: str, within: Sequence[str]) -> pd.DataFrame:
        """Draw a column and scale it to the sum it had, within each group."""
        table = table.copy()
        drawn = table[column] * self.factors(table, layer, column)
        groups = [table[c] for c in within] or [pd.Series("", index=table.index)]
        # fsum knows no order of rows.
        before, after = (x.groupby(groups).transform(math.fsum) for x in (table[column], drawn))
        table[column] = (drawn * (before / after)).where(after > 0, drawn)
        return table

    def yields(self, table: pd.DataFrame) -> pd.DataFrame:
        """Draw yields and recoveries in their odds."""
        table = table.copy()
        for i in table.index[[bool(_YIELD.fullmatch(str(i))) for i in table.index]]:
            y = float(table.at[i, "value"])
            if 0 < y < 1:
                lost = (1 - y) / self.factor("parameters", str(i), "value", str(table.at[i, "confidence"]))
                table.at[i, "value"] = y / (y + lost)
        return table
