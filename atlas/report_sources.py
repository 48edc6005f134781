"""The sources that a report rests on, and how to cite the atlas and a report."""

from collections.abc import Iterable, Mapping
from typing import Any

from atlas import __version__
from atlas.export import ATTRIBUTION

REPORT_CITED = "Rare-earth atlas {version}: {title}.{date} {case}"
ATLAS_CITED = (
    "Rare-earth supply-network atlas, version {version}. Apache-2.0; data under the licences of their sources."
)
LICENCE = "Text and pictures of this report may be used with a word on where they come from. " + ATTRIBUTION


def sources_of(layers: Any, outcomes: Iterable[Any]) -> list[dict[str, str]]:
    """Return the sources of the facilities and demand that run in the answers, those of the most tonnes first.

    Each with id, title, publisher, url; all of them, not cut.
    """
    weight: dict[str, float] = {}
    for outcome in outcomes:
        made = outcome.facilities["halted_t"].fillna(0.0)
        known = layers.facilities["source_id"].reindex(made.index)
        for source, t in made.groupby(known).sum().items():
            weight[str(source)] = weight.get(str(source), 0.0) + float(t)
        demand = layers.demand
        if "source_id" in demand:
            for source, t in demand.groupby("source_id")["demand_t"].sum().items():
                weight[str(source)] = weight.get(str(source), 0.0) + float(t)
    table = getattr(layers, "sources", None)
    rows = []
    for i, t in sorted(weight.items(), key=lambda r: (-r[1], r[0])):
        if t > 0 and table is not None and i in table.index:
            s = table.loc[i]
            rows.append(
                {"id": i, "title": str(s["title"]), "publisher": str(s["publisher"] or ""), "url": str(s["url"] or "")}
            )
    return rows


def cite_report(head: Mapping[str, Any]) -> str:
    """Return how to cite a report."""
    date = f" {head['date']}." if head.get("date") else ""
    return REPORT_CITED.format(version=head["version"], title=head["title"], date=date, case=head["case"])


def cite_atlas() -> str:
    """Return how to cite the atlas."""
    return ATLAS_CITED.format(version=__version__)
