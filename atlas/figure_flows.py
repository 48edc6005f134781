"""What runs over each shared stretch of a print map: tonnes by commodity or by kind of change, and which way.

Flows that share a stretch of the network are one band there: its width is that of their sum, in one or more strands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from atlas.geo import FloatArray
from atlas.render_arcs import Arcs, arcs
from atlas.render_data import drawn_flows, route_lines
from atlas.render_style import CHANGES, COMMODITIES, SOURCES

TOLERANCE_DEG = 0.03  # about a tenth of a millimetre on an A4 world map
SMALL_T = 0.5  # less than this is nothing, as on the map of the web
KINDS = (*CHANGES, "via")
GOODS = (*COMMODITIES, *SOURCES, "via")
HEADING_LEAST = 0.2  # of the tonnes must go one way more than the other for an arrow


@dataclass(frozen=True)
class Strands:
    """The strands of one view: `table` has arc, key, tonnes, heading (1, -1 or 0 along the arc); `keys` those in use.

    `whole` is the sum of the arc's tonnes. `lines` are the arcs in degrees, continuous longitudes.
    """

    table: pd.DataFrame
    lines: list[FloatArray]
    keys: tuple[str, ...]
    share_drawn: float


@dataclass(frozen=True)
class Bundles:
    """All flows of an outcome on shared stretches: `uses` has arc, lane, sign, baseline, halted in tonnes a year."""

    uses: pd.DataFrame
    lanes: pd.DataFrame
    lines: list[FloatArray]
    share_drawn: float

    @property
    def arc_tonnes(self) -> FloatArray:
        """Tonnes of each stretch, of the state that has more of them."""
        most = self.uses[["baseline", "halted"]].max(axis=1).groupby(self.uses["arc"]).sum()
        return most.reindex(range(len(self.lines)), fill_value=0.0).to_numpy(dtype=float)

    def strands(self, view: str, colour: str = "commodity") -> Strands:
        """Return the strands of `before` or `after` (by `colour`: commodity or source) or of `change` (by kind)."""
        uses = self.uses.merge(self.lanes, left_on="lane", right_index=True)
        if view == "change":
            parts, order = _change_parts(uses), KINDS
        else:
            tonnes = uses["baseline" if view == "before" else "halted"]
            key = uses["side" if colour == "source" else "commodity"].where(~uses["via"], "via")
            parts, order = pd.DataFrame({"arc": uses["arc"], "key": key, "tonnes": tonnes, "sign": uses["sign"]}), GOODS
        parts = parts[parts["tonnes"] > 0]
        parts = parts.assign(net=parts["tonnes"] * parts["sign"])
        table = parts.groupby(["arc", "key"], sort=True)[["tonnes", "net"]].sum().reset_index()
        heading = np.where(table["net"].abs() > HEADING_LEAST * table["tonnes"], np.sign(table["net"]), 0.0)
        table["heading"] = heading.astype(int)
        table["whole"] = table.groupby("arc")["tonnes"].transform("sum")
        rank = {k: i for i, k in enumerate(order)}
        table = table.assign(rank=table["key"].map(rank)).sort_values(["arc", "rank"], kind="stable")
        used = tuple(k for k in order if k in set(table["key"]))
        return Strands(table.drop(columns=["net", "rank"]).reset_index(drop=True), self.lines, used, self.share_drawn)


def bundles(outcome: Any, commodities: Sequence[str] = ()) -> Bundles:
    """Return the flows of an outcome on their shared stretches; `commodities` leaves out the others."""
    flows, drawn = drawn_flows(outcome)
    if commodities:
        flows = flows[flows["commodity"].isin(list(commodities))].reset_index(drop=True)
    codes, routes = pd.factorize(flows["route_id"])
    made: Arcs = arcs(route_lines(outcome, list(routes)), TOLERANCE_DEG)
    allies = set(outcome.bloc_countries)
    lane = flows.groupby(["from", "to", "commodity", "item", "via"], sort=False).ngroup()
    first = flows.loc[~lane.duplicated()].set_axis(lane[~lane.duplicated()].to_numpy(), axis=0)
    lanes = pd.DataFrame({"commodity": first["commodity"], "via": first["via"] != "",
                          "side": np.where(first["from_country"].isin(allies), "ally", "other")})  # fmt: skip
    runs = [made.routes[c] for c in codes]
    counts = np.array([len(r) for r in runs], dtype=int)
    signed = np.array([s for r in runs for s in r], dtype=int)
    way = np.repeat(np.arange(len(runs)), counts)
    uses = pd.DataFrame(
        {
            "arc": np.abs(signed) - 1,
            "lane": lane.to_numpy()[way],
            "sign": np.sign(signed),
            "baseline": flows["baseline"].to_numpy()[way],
            "halted": flows["halted"].to_numpy()[way],
        }
    )
    uses = uses.groupby(["arc", "lane"], sort=True).agg({"sign": "first", "baseline": "sum", "halted": "sum"})
    return Bundles(uses.reset_index(), lanes, made.lines, float(drawn["share"]))


def kind_of_change(before: Any, after: Any, side: Any) -> Any:
    """Return the kind of change of tonnes before and after (arrays); `side` is `ally` or `other`, of the source."""
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    side = np.asarray(side, dtype=str)
    change = after - before
    kept = np.abs(change) <= np.maximum(1.0, 0.01 * np.maximum(before, after))
    grown = np.where(before <= SMALL_T, np.char.add("new-", side), np.char.add("grown-", side))
    return np.where(kept, "kept", np.where(change < 0, np.where(after <= SMALL_T, "lost", "reduced"), grown))


def _change_parts(uses: pd.DataFrame) -> pd.DataFrame:
    """Return what became of each lane's tonnes on each stretch: the part that changed, and the part that stayed."""
    before, after = uses["baseline"].to_numpy(), uses["halted"].to_numpy()
    kind = np.where(uses["via"], "via", kind_of_change(before, after, uses["side"]))
    plain = np.isin(kind, ("kept", "via"))
    changed = np.where(plain, np.maximum(before, after), np.abs(after - before))
    stays = np.where(plain | (kind == "lost") | np.char.startswith(kind.astype(str), "new"), 0.0,
                     np.minimum(before, after))  # fmt: skip
    both = [
        {"arc": uses["arc"], "key": k, "tonnes": t, "sign": uses["sign"]} for k, t in ((kind, changed), ("kept", stays))
    ]
    return pd.concat([pd.DataFrame(b) for b in both], ignore_index=True)
