"""A project of QGIS that opens a GeoPackage of results ready-styled: groups, legend, themes and print layouts.

It is written as a .qgz beside the GeoPackage (a relative path, so the two travel together) and into the GeoPackage
itself (table `qgis_projects`), where QGIS finds it as `geopackage:FILE?projectName=atlas`.
"""

import io
import json
import sqlite3
import zipfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from atlas import geo
from atlas.chain import Chain, chain_of, shipped_chain
from atlas.chain_words import reworded
from atlas.export_fields import fields_of
from atlas.export_gpkg import STAMP
from atlas.export_looks import closed, looks, worded
from atlas.export_qgis_layout import add_layouts
from atlas.export_qml import QGIS_VERSION, field_parts, layer_attributes, layer_parts
from atlas.export_styles import layer_fields, table_columns
from atlas.export_symbols import Look
from atlas.export_tables import ATTRIBUTION, LICENCE
from atlas.halt_words import describe
from atlas.halted_places import halted_things
from atlas.schema import Schema

CRS = "EPSG:8857"  # Equal Earth: areas are true, and the poles do not swell
PROJECT = "atlas"
SOURCES = "sources"
WORLD = (-17_300_000.0, -8_400_000.0, 17_300_000.0, 8_400_000.0)
DAY = (2024, 1, 1, 0, 0, 0)
VIEW_TITLES = {"change": "Change", "before": "Before", "after": "After"}
BOOKMARKS = {
    "East Asia": (95, 5, 150, 50),
    "South-east Asia and Malacca": (90, -12, 125, 25),
    "Europe": (-15, 33, 35, 62),
    "North America": (-130, 20, -60, 55),
    "Suez to Hormuz": (28, 8, 62, 34),
}


@dataclass(frozen=True)
class About:
    """What a project says of itself: title, sentence, halts, whose data.

    `named` are the ids of places that the halts name, by table; `changed` says whether any lane differs,
    `chain` of what commodity it speaks.
    """

    title: str
    sentence: str
    halts: tuple[str, ...]
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changed: bool = True
    chain: Chain = field(default_factory=shipped_chain)
    attribution: str = ATTRIBUTION
    licence: str = LICENCE

    @property
    def abstract(self) -> str:
        """Return what the result is, in one paragraph."""
        halts = ", ".join(self.halts) or "none (baseline)"
        rate = "An annual rate, as if it lasted a year."
        return f"{self.sentence} Halts: {halts}. {rate} {self.attribution} Licence of routed lines: {self.licence}."


@dataclass(frozen=True)
class Shown:
    """A layer of the project: table, look, group, whether it is ticked, and the part of its rows that it shows."""

    key: str
    table: str
    look: Look
    title: str
    group: str
    ticked: bool = True
    subset: str = ""


def about(outcome: Any) -> About:
    """Return what a project says of an outcome."""
    scenario = outcome.summary["scenario"]
    halts = tuple(scenario["halts"])
    name = scenario.get("name") or ""
    told = (
        "without " + ", ".join(describe(h, outcome.layers) for h in halts)
        if halts
        else f"baseline of {scenario['year']}"
    )
    title = f"Rare-earth flows {told}" if name in ("", "halts", "baseline") else f"Rare-earth flows: {name}"
    short = title if len(title) < 90 else f"Rare-earth flows under {len(halts)} halts"
    found = halted_things(outcome)
    named = {t: tuple(found[k]) for t, k in (("facilities", "facility"), ("ports", "port"), ("passages", "passage"))}
    chain = chain_of(outcome.layers)
    title, sentence = reworded(short, chain), reworded(outcome.sentence, chain)
    return About(title, sentence, halts, named, bool((outcome.changes["kind"] != "kept").any()), chain)


def write_project(package: Path, path: Path, said: About, schema: Schema) -> None:
    """Write the project of a GeoPackage as a .qgz that lies beside it."""
    path.write_bytes(packed({f"{path.stem}.qgs": project_text(package, package.name, said, schema).encode("utf-8")}))


def add_project(package: Path, name: str, said: About, schema: Schema) -> None:
    """Write the project into its GeoPackage; `name` is the file's name once it is in its place."""
    content = packed({f"{PROJECT}.qgs": project_text(package, name, said, schema).encode("utf-8")})
    with closing(sqlite3.connect(package)) as file, file:
        file.execute("CREATE TABLE qgis_projects(name TEXT PRIMARY KEY, metadata BLOB, content BLOB)")
        told = json.dumps({"last_modified_time": STAMP[:19], "last_modified_user": "atlas"})
        file.execute("INSERT INTO qgis_projects VALUES (?, ?, ?)", (PROJECT, told, content.hex()))


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of these files, with a fixed time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            one = zipfile.ZipInfo(name, DAY)
            one.compress_type, one.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(one, content)
    return made.getvalue()


def project_text(package: Path, name: str, said: About, schema: Schema) -> str:
    """Return the project of a GeoPackage as text; its layers are those tables that have a look."""
    with closing(sqlite3.connect(f"file:{package}?mode=ro", uri=True)) as file:
        kinds = dict(file.execute("SELECT table_name, geometry_type_name FROM gpkg_geometry_columns").fetchall())
        columns = {t: table_columns(file, t) for t in kinds}
        sources = table_columns(file, SOURCES)
    first = "change" if said.changed else "before"
    shown = project_layers(columns, first, said)
    root = ET.Element("qgis", {"projectname": said.title, "version": QGIS_VERSION})
    ET.SubElement(root, "homePath", {"path": ""})
    ET.SubElement(root, "title").text = said.title
    _crs(ET.SubElement(root, "projectCrs"), CRS)
    root.append(_tree(shown, name, first))
    relations = ET.SubElement(root, "relations")
    layers = ET.SubElement(root, "projectlayers")
    for layer in shown:
        layers.append(_layer(layer, name, columns[layer.table], kinds[layer.table], said, schema))
    if sources:
        layers.append(_sources(root, name, sources, said, schema))
        for layer in shown:
            if "source_id" in columns[layer.table]:
                _relation(relations, layer)
    order = ET.SubElement(root, "layerorder")
    for layer in shown:
        ET.SubElement(order, "layer", {"id": layer.key})
    _properties(root)
    themes = ET.SubElement(root, "visibility-presets")
    views = [v for v in VIEW_TITLES if any(s.group == VIEW_TITLES[v] for s in shown)]
    for view in views:
        one = ET.SubElement(themes, "visibility-preset", {"name": VIEW_TITLES[view], "has-expanded-info": "0"})
        for layer in theme(shown, view):
            ET.SubElement(one, "layer", {"id": layer.key, "style": "default", "visible": "1"})
    _metadata(root, said)
    if views:
        add_layouts(
            root,
            {VIEW_TITLES[v]: _legend(shown, v) for v in views},
            said.title,
            said.sentence,
            f"{said.attribution} Licence of routed lines: {said.licence}.",
            WORLD,
        )
    _bookmarks(root)
    view_settings = ET.SubElement(root, "ProjectViewSettings", {"UseProjectScales": "0", "rotation": "0"})
    extent = ET.SubElement(
        view_settings, "DefaultViewExtent", dict(zip(("xmin", "ymin", "xmax", "ymax"), map(str, WORLD), strict=True))
    )
    _crs(extent, CRS)
    ET.indent(root, " ")
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + ET.tostring(root, encoding="unicode") + "\n"


def project_layers(columns: dict[str, list[str]], first: str, said: About) -> list[Shown]:
    """Return the layers of a project, the uppermost first.

    `first` is the view that is ticked.
    """
    made: list[Shown] = []

    def add(table: str, view: str, title: str, group: str, ticked: bool = True, subset: str = "") -> None:
        for look in looks(table, columns[table]) if table in columns else ():
            if look.name == f"atlas {table} {view}".strip():
                seen = worded(look, said.chain)
                if group != "Before":
                    seen = closed(seen, said.named.get(table, ()))
                made.append(Shown(f"atlas_{table}_{group.lower()}", table, seen, title, group, ticked, subset))

    for view in [first, *(v for v in VIEW_TITLES if v != first)]:
        group = VIEW_TITLES[view]
        add(
            "passages",
            "" if view == "change" else view,
            "Passages, tonnes " + ("before → after" if view == "change" else view),
            group,
        )
        add("facilities", view, "Facilities: " + ("change of output" if view == "change" else f"output {view}"), group)
        add(
            "ports",
            "" if view == "change" else view,
            "Ports, tonnes " + ("before → after" if view == "change" else view),
            group,
        )
        subset = f"\"view\" = '{view}'"
        add(
            "stretches",
            view,
            {"change": "Change of flows", "before": "Flows before", "after": "Flows after"}[view],
            group,
            subset=subset,
        )
        if view == "change":
            add("changes", "", "Change, lane by lane", group, False)
        else:
            state = "baseline" if view == "before" else "halted"
            add("flows", view, f"Flows {view}, lane by lane", group, False, f"\"state\" = '{state}'")
    add("facilities", "", "All facilities, planned ones too", "Places", False)
    add("ports", "", "All ports", "Places", False)
    add("passages", "", "All passages", "Places", False)
    add("chokepoints", "", "What costs most to lose", "Places", False)
    add("network", "", "Network: sea lanes, rails, roads", "Network", False)
    add("backdrop", "", "Countries and sea", "Backdrop")
    return made


def theme(shown: list[Shown], view: str) -> list[Shown]:
    """Return the layers that are seen in a view."""
    return [s for s in shown if s.ticked and s.group in (VIEW_TITLES[view], "Places", "Backdrop")]


def _legend(shown: list[Shown], view: str) -> list[tuple[str, str, list[int]]]:
    """Return id, title and lines of the layers of a view that the legend of a layout explains."""
    wanted = [s for s in theme(shown, view) if s.table in ("stretches", "facilities", "passages", "backdrop")]
    order = ("stretches", "facilities", "passages", "backdrop")
    wanted.sort(key=lambda s: order.index(s.table))
    out = []
    for s in wanted:
        lines = [k for k, r in enumerate(s.look.rules) if not r.from_scale and r.label != "Sea"]
        out.append((s.key, {"backdrop": "Countries"}.get(s.table, s.title), lines))
    return out


def _crs(parent: ET.Element, name: str) -> None:
    text, title, degrees = geo.crs_words(name)
    one = ET.SubElement(parent, "spatialrefsys")
    ET.SubElement(one, "wkt").text = text
    ET.SubElement(one, "authid").text = name
    ET.SubElement(one, "description").text = title
    ET.SubElement(one, "ellipsoidacronym").text = "EPSG:7030"
    ET.SubElement(one, "geographicflag").text = "true" if degrees else "false"


def _tree(shown: list[Shown], name: str, first: str) -> ET.Element:
    root = ET.Element("layer-tree-group")
    groups: dict[str, ET.Element] = {}
    views = ET.SubElement(
        root,
        "layer-tree-group",
        {
            "name": "Flows",
            "checked": "Qt::Checked",
            "expanded": "1",
            "mutually-exclusive": "1",
            "mutually-exclusive-child": "0",
        },
    )
    for layer in shown:
        on = layer.group not in VIEW_TITLES.values() or layer.group == VIEW_TITLES[first]
        if layer.group not in groups:
            parent = views if layer.group in VIEW_TITLES.values() else root
            groups[layer.group] = ET.SubElement(
                parent,
                "layer-tree-group",
                {
                    "name": layer.group,
                    "checked": "Qt::Checked" if on else "Qt::Unchecked",
                    "expanded": "1" if layer.group == VIEW_TITLES[first] else "0",
                },
            )
        ET.SubElement(
            groups[layer.group],
            "layer-tree-layer",
            {
                "id": layer.key,
                "name": layer.title,
                "checked": "Qt::Checked" if layer.ticked else "Qt::Unchecked",
                "expanded": "1" if layer.ticked and layer.table in ("stretches", "facilities") else "0",
                "providerKey": "ogr",
                "source": _source(layer, name),
                "legend_exp": "",
                "legend_split_behavior": "0",
                "patch_size": "-1,-1",
            },
        )
    return root


def _source(layer: Shown, name: str) -> str:
    return f"./{name}|layername={layer.table}" + (f"|subset={layer.subset}" if layer.subset else "")


def _layer(layer: Shown, name: str, columns: list[str], kind: str, said: About, schema: Schema) -> ET.Element:
    made = ET.Element(
        "maplayer",
        {
            "type": "vector",
            "geometry": {"point": "Point", "line": "Line", "polygon": "Polygon"}[layer.look.geometry],
            "wkbType": {
                "POINT": "Point",
                "MULTILINESTRING": "MultiLineString",
                "LINESTRING": "LineString",
                "POLYGON": "Polygon",
                "MULTIPOLYGON": "MultiPolygon",
            }.get(kind, "Unknown"),
            "styleCategories": "AllStyleCategories",
            **layer_attributes(layer.look),
        },
    )
    ET.SubElement(made, "id").text = layer.key
    ET.SubElement(made, "datasource").text = _source(layer, name)
    ET.SubElement(made, "layername").text = layer.title
    _crs(ET.SubElement(made, "srs"), "EPSG:4326")
    about_layer = ET.SubElement(made, "resourceMetadata")
    _said(about_layer, layer.key, "dataset", layer.look.title, said)
    ET.SubElement(made, "provider", {"encoding": "UTF-8"}).text = "ogr"
    manager = ET.SubElement(made, "map-layer-style-manager", {"current": "default"})
    ET.SubElement(manager, "map-layer-style", {"name": "default"})
    for part in layer_parts(layer.look, columns, layer_fields(layer.table, schema)):
        made.append(part)
    return made


def _sources(root: ET.Element, name: str, columns: list[str], said: About, schema: Schema) -> ET.Element:
    """Return the table of sources as a layer without geometry, after it was added to the tree."""
    source = f"./{name}|layername={SOURCES}"
    tree = root.find("layer-tree-group")
    if tree is not None:
        entry = {"id": f"atlas_{SOURCES}", "name": "Sources", "checked": "Qt::Checked", "expanded": "0"}
        ET.SubElement(tree, "layer-tree-layer", {**entry, "providerKey": "ogr", "source": source})
    made = ET.Element("maplayer", {"type": "vector", "geometry": "No geometry", "wkbType": "NoGeometry"})
    ET.SubElement(made, "id").text = f"atlas_{SOURCES}"
    ET.SubElement(made, "datasource").text = source
    ET.SubElement(made, "layername").text = "Sources"
    _said(ET.SubElement(made, "resourceMetadata"), SOURCES, "dataset", "Sources that the rows name", said)
    ET.SubElement(made, "provider", {"encoding": "UTF-8"}).text = "ogr"
    made.extend(field_parts(columns, fields_of(SOURCES, schema)))
    ET.SubElement(made, "previewExpression").text = '"title"'
    return made


def _relation(parent: ET.Element, layer: Shown) -> None:
    """Join the rows of a layer to the source that each names."""
    keys = {"referencingLayer": layer.key, "referencedLayer": f"atlas_{SOURCES}", "strength": "Association"}
    made = ET.SubElement(parent, "relation", {"id": f"source_of_{layer.key}", "name": f"{layer.title}: source", **keys})
    ET.SubElement(made, "fieldRef", {"referencingField": "source_id", "referencedField": "id"})


def _said(parent: ET.Element, key: str, kind: str, title: str, said: About) -> None:
    for tag, text in (
        ("identifier", key),
        ("language", "ENG"),
        ("type", kind),
        ("title", title),
        ("abstract", said.abstract),
    ):
        ET.SubElement(parent, tag).text = text
    ET.SubElement(parent, "license").text = said.licence
    ET.SubElement(parent, "rights").text = said.attribution


def _metadata(root: ET.Element, said: About) -> None:
    made = ET.SubElement(root, "projectMetadata")
    _said(made, PROJECT, "project", said.title, said)
    ET.SubElement(made, "author").text = "Rare-earth atlas"
    ET.SubElement(made, "creation").text = STAMP[:19]


def _properties(root: ET.Element) -> None:
    made = ET.SubElement(root, "properties")
    paths = ET.SubElement(made, "Paths")
    ET.SubElement(paths, "Absolute", {"type": "bool"}).text = "false"
    ET.SubElement(ET.SubElement(made, "Measurement"), "DistanceUnits", {"type": "QString"}).text = "km"
    label = ET.SubElement(made, "PAL")
    ET.SubElement(label, "PlacementEngineVersion", {"type": "int"}).text = "1"
    ET.SubElement(ET.SubElement(made, "SpatialRefSys"), "ProjectionsEnabled", {"type": "int"}).text = "1"


def _bookmarks(root: ET.Element) -> None:
    made = ET.SubElement(root, "Bookmarks")
    for name, (w, s, e, n) in BOOKMARKS.items():
        ring = f"POLYGON(({w} {s}, {e} {s}, {e} {n}, {w} {n}, {w} {s}))"
        one = ET.SubElement(made, "Bookmark", {"id": name, "name": name, "group": "Atlas", "extent": ring})
        _crs(one, "EPSG:4326")
