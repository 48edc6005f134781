"""The answer as tidy tables: a row for each thing, both states beside each other, tonnes not rounded.

Every table has `baseline_t`, `halted_t` and `change_t` (or `_usd_t`), so that they read alike.
"""

from collections.abc import Sequence

import pandas as pd

from atlas.outcome import Outcome, Solved
from atlas.summary import stage_output, throughput

STATES = ("baseline", "halted")
SHORTAGE_KEYS = ("country", "sector", "grade")
IMPORT_KEYS = ("importer", "commodity", "element", "exporter")
OUTPUT_KEYS = ("stage", "country")
THROUGHPUT_KEYS = ("kind", "id")
PRICE_KEYS = ("commodity", "element", "grade", "country")
REPLACED_COLUMNS = ("importer", "commodity", "from_country", "to_country", "tonnes")
# What tells an answer at a glance: measure in the summary, unit.
KEY_FIGURES = (
    ("demand_t", "t/year"), ("supplied_t", "t/year"), ("shortage_t", "t/year"), ("bloc_supplied_share", "share"),
    ("bloc_origin_share", "share"), ("unit_spend_usd_t", "USD/t"), ("mean_days", "days"), ("mean_km", "km"),
)  # fmt: skip


def key_figures(outcome: Outcome) -> pd.DataFrame:
    """Return what tells an answer at a glance, by measure: unit, baseline, halted, change.

    The part of the bloc's magnets whose stage ran inside it stands as `bloc_origin_share/STAGE`.
    """
    rows = []
    for measure, unit in KEY_FIGURES:
        before, after = (outcome.summary[s][measure] for s in STATES)
        pairs = {f"/{k}": (before[k], after[k]) for k in before} if isinstance(before, dict) else {"": (before, after)}
        rows += [(measure + k, unit, a, b, b - a) for k, (a, b) in pairs.items()]
    return pd.DataFrame(rows, columns=["measure", "unit", "baseline", "halted", "change"]).set_index("measure")


def shortage(outcome: Outcome) -> pd.DataFrame:
    """Return demand and what of it is not met: country, sector, grade, demand and shortage of both states.

    `baseline_t` and `halted_t` are tonnes a year that stay short; the demand stands in `baseline_demand_t` and
    `halted_demand_t`, which differ where a scenario changes it.
    """

    def of(state: Solved) -> pd.DataFrame:
        rows = state.reading.demand.groupby(list(SHORTAGE_KEYS))[["demand_t", "short_t"]].sum()
        return rows.rename(columns={"demand_t": "demand"})

    before, after = of(outcome.baseline), of(outcome.halted)
    table = _beside(before["short_t"], after["short_t"], SHORTAGE_KEYS)
    demand = _beside(before["demand"], after["demand"], SHORTAGE_KEYS)
    table.insert(3, "baseline_demand_t", demand["baseline_t"])
    table.insert(4, "halted_demand_t", demand["halted_t"])
    return table


def imports(outcome: Outcome) -> pd.DataFrame:
    """Return what countries take from each other: importer, commodity, element, exporter, tonnes of both states.

    The exporter is the country of the last plant, not of the mine; deliveries at home are left out. `element` is empty
    for concentrate and magnets.
    """

    def of(state: Solved) -> pd.Series:
        rows = state.reading.lanes
        rows = rows[rows["from_country"] != rows["to_country"]]
        rows = rows.rename(columns={"to_country": "importer", "from_country": "exporter"})
        return rows.groupby(list(IMPORT_KEYS))["t"].sum()

    return _beside(of(outcome.baseline), of(outcome.halted), IMPORT_KEYS)


def output(outcome: Outcome) -> pd.DataFrame:
    """Return what each country makes: stage, country, tonnes of both states in the stage's unit.

    Units are those of `stage_output_t`: contained REO of mines, oxide drawn of separation, metal, finished magnets.
    """

    def of(state: Solved) -> pd.Series:
        rows = stage_output(state.world, state.reading)
        made = rows.groupby(list(OUTPUT_KEYS))["t"].sum()
        return made[made > 0]

    return _beside(of(outcome.baseline), of(outcome.halted), OUTPUT_KEYS)


def through(outcome: Outcome) -> pd.DataFrame:
    """Return what passes each passage, port and border: kind, id, name, tonnes of both states."""

    def of(state: Solved) -> pd.Series:
        rows = [(kind, i, t) for kind, by in throughput(state.reading.lanes).items() for i, t in by.items()]
        return pd.DataFrame(rows, columns=[*THROUGHPUT_KEYS, "t"]).set_index(list(THROUGHPUT_KEYS))["t"]

    table = _beside(of(outcome.baseline), of(outcome.halted), THROUGHPUT_KEYS)
    layers = outcome.layers
    names = {"passage": layers.passages["name"], "port": layers.ports["name"]}
    countries = layers.countries["name"]

    def name(kind: str, key: str) -> str:
        if kind == "border":
            return " - ".join(str(countries.get(c, c)) for c in key.split("-"))
        return str(names[kind].get(key, key))

    named = [name(kind, key) for kind, key in zip(table["kind"], table["id"], strict=True)]
    table.insert(2, "name", pd.Series(named, index=table.index, dtype="str"))
    return table


def prices(outcome: Outcome) -> pd.DataFrame:
    """Return the price of scarcity: commodity, element, grade, country, USD a tonne in both states, `holds`.

    What one more tonne would save at a place, not a market price. `holds` tells for what the price of the halted state
    is exact: one tonne `more`, one `less`, `both` or `neither`. NaN where nothing is taken in a state.
    """
    keys = list(PRICE_KEYS)
    states = (outcome.baseline, outcome.halted)
    before, after = (s.prices.rename(columns={"place": "country"}).set_index(keys) for s in states)
    table = pd.concat(
        {"baseline_usd_t": before["price_usd_t"], "halted_usd_t": after["price_usd_t"]}, axis=1, sort=True
    )
    table["change_usd_t"] = table["halted_usd_t"] - table["baseline_usd_t"]
    table["holds"] = after["holds"].reindex(table.index).fillna("")
    return table.rename_axis(index=keys).reset_index()


def replaced(outcome: Outcome) -> pd.DataFrame:
    """Return who stands in for whom: importer, commodity, from_country (lost), to_country (found), tonnes."""
    return pd.DataFrame(outcome.summary["replaced"], columns=list(REPLACED_COLUMNS))


def _beside(before: pd.Series, after: pd.Series, keys: Sequence[str]) -> pd.DataFrame:
    """Return both states beside each other, 0 where a state has none, in the order of the keys."""
    table = pd.concat({"baseline_t": before, "halted_t": after}, axis=1, sort=True).fillna(0.0)
    table["change_t"] = table["halted_t"] - table["baseline_t"]
    return table.rename_axis(index=list(keys)).reset_index()
