"""Say what the atlas is made of: versions, layers, sources, licences."""

import platform
from importlib import metadata
from typing import Any

from atlas import __version__
from atlas.cli_text import number, table
from atlas.export import ATTRIBUTION

PACKAGES = ("highspy", "pyogrio", "geopandas", "shapely", "pyproj", "scipy", "numpy", "pandas", "folium", "flask",
            "osmnx", "networkx")


def about_text(layers: Any) -> str:
    """Return the text of `atlas about`."""
    from pyogrio import __gdal_version__

    versions = [("atlas", __version__), ("Python", platform.python_version())]
    versions += [(name, metadata.version(name)) for name in PACKAGES]
    versions.append(("GDAL", ".".join(map(str, __gdal_version__))))
    used: dict[str, int] = {}
    for name in layers.schema.layers:
        rows = layers.table(name)
        if "source_id" in rows and name != "sources":
            for source, count in rows["source_id"].value_counts().items():
                used[str(source)] = used.get(str(source), 0) + int(count)
    cited = sorted(used, key=lambda s: (-used[s], s))
    rows = [
        (
            s,
            number(used[s]),
            str(layers.sources["title"].get(s, ""))[:60],
            str(layers.sources["licence"].get(s, ""))[:50],
        )
        for s in cited[:20]
    ]
    head = ("source", "rows", "title", "licence")
    text = table(head, [(a, b, c, d) for a, b, c, d in rows], left=4)
    parts = [
        "Rare-earth supply-network atlas: where material flows, and where it goes when something is halted.",
        table(("part", "version"), versions, left=2),
        f"layers    sha256 {layers.digest}",
        f"{number(len(cited))} sources, most cited first (all: layers/sources.csv, or /data in the web atlas)\n{text}",
        f"licences  code Apache-2.0; {ATTRIBUTION}",
    ]
    return "\n\n".join(parts)
