"""Print layouts of a QGIS project: A3, a map of one view with title, legend, scale bar and the line of sources."""

import uuid
from xml.etree import ElementTree as ET

from atlas import render_style as style
from atlas.export_looks import SOFT
from atlas.export_qml_labels import FONTS, text_style
from atlas.export_symbols import hexed

PAGE = (420.0, 297.0)
MARGIN = 10.0
MAP = (MARGIN, 31.0, 400.0, 195.0)  # left, top, width, height in mm
_MAP, _LEGEND, _LABEL, _SCALE, _PAGE = "65639", "65642", "65641", "65646", "65638"
_SPACE = uuid.UUID("0c8d5a3e-12a7-5f60-8a3c-77d05f1b9e21")

Element = ET.Element
Legend = list[tuple[str, str, list[int]]]


def add_layouts(
    root: Element,
    legends: dict[str, Legend],
    title: str,
    sentence: str,
    sources: str,
    world: tuple[float, float, float, float],
) -> None:
    """Add a layout for each theme; `legends` has id, title and shown lines of the layers of each."""
    made = ET.SubElement(root, "Layouts")
    for name, legend in legends.items():
        _layout(made, name, legend, title, sentence, sources, world)


def _layout(
    parent: Element,
    name: str,
    legend: Legend,
    title: str,
    sentence: str,
    sources: str,
    world: tuple[float, float, float, float],
) -> None:
    layout = ET.SubElement(
        parent, "Layout", {"name": f"{name}, A3", "units": "mm", "printResolution": "300", "worldFileMap": ""}
    )
    ET.SubElement(
        layout, "Grid", {"resolution": "10", "resUnits": "mm", "offsetUnits": "mm", "offsetX": "0", "offsetY": "0"}
    )
    pages = ET.SubElement(layout, "PageCollection")
    pages.append(_sheet())
    page = _item(pages, _PAGE, f"{name} page", (0, 0, *PAGE), 0)
    page.append(_sheet())
    drawn = _item(
        layout,
        _MAP,
        f"{name} map",
        MAP,
        1,
        {
            "followPreset": "true",
            "followPresetName": name,
            "keepLayerSet": "false",
            "mapRotation": "0",
            "mapFlags": "0",
            "drawCanvasItems": "true",
            "labelMargin": "0,mm",
            "isTemporal": "0",
        },
    )
    ET.SubElement(drawn, "Extent", dict(zip(("xmin", "ymin", "xmax", "ymax"), map(str, _fitted(world)), strict=True)))
    ET.SubElement(drawn, "LayerSet")
    ET.SubElement(drawn, "AtlasMap", {"scalingMode": "2", "atlasDriven": "0", "margin": "0.1"})
    word = {"Before": "before", "After": "after", "Change": "what changes"}[name]
    _label(layout, f"{name} title", f"{title}: {word}", (MARGIN, 8, 400, 10), 20, style.INK, bold=True)
    _label(layout, f"{name} sentence", sentence, (MARGIN, 19, 400, 10), 11, style.INK)
    _legend(layout, name, legend)
    _scale(layout, name)
    projection = "Equal Earth projection; the scale bar holds in the middle of the map."
    note = f"{sources} {projection} Made with the rare-earth atlas: an annual rate, as if it lasted a year."
    _label(layout, f"{name} sources", note, (MARGIN, 283, 400, 10), 7.5, SOFT)


def _fitted(world: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Return the extent in the shape of the map's frame."""
    west, south, east, north = world
    high = (east - west) * MAP[3] / MAP[2]
    middle = (south + north) / 2
    if high >= north - south:
        return west, middle - high / 2, east, middle + high / 2
    wide, centre = (north - south) * MAP[2] / MAP[3], (west + east) / 2
    return centre - wide / 2, south, centre + wide / 2, north


def _id(name: str) -> str:
    return "{" + str(uuid.uuid5(_SPACE, name)) + "}"


def _item(
    parent: Element,
    kind: str,
    name: str,
    box: tuple[float, float, float, float],
    z: int,
    more: dict[str, str] | None = None,
) -> Element:
    x, y, w, h = box
    made = ET.SubElement(
        parent,
        "LayoutItem",
        {
            "type": kind,
            "uuid": _id(name),
            "templateUuid": _id(name),
            "id": name,
            "position": f"{x:g},{y:g},mm",
            "positionOnPage": f"{x:g},{y:g},mm",
            "size": f"{w:g},{h:g},mm",
            "itemRotation": "0",
            "groupUuid": "",
            "zValue": str(z),
            "visibility": "1",
            "positionLock": "false",
            "blendMode": "0",
            "opacity": "1",
            "excludeFromExports": "0",
            "referencePoint": "0",
            "frame": "false",
            "outlineWidthM": "0.3,mm",
            "frameJoinStyle": "miter",
            "background": "true" if kind in (_PAGE, _MAP) else "false",
            **(more or {}),
        },
    )
    for tag, colour in (("FrameColor", style.INK), ("BackgroundColor", style.PAPER)):
        ET.SubElement(made, tag, _parts(colour))
    return made


def _parts(colour: str) -> dict[str, str]:
    h = hexed(colour)
    return {"red": str(int(h[1:3], 16)), "green": str(int(h[3:5], 16)), "blue": str(int(h[5:7], 16)), "alpha": "255"}


def _sheet() -> Element:
    """Return the paper: white, without an edge."""
    made = ET.Element("symbol", {"type": "fill", "name": "", "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"})
    layer = ET.SubElement(made, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    values = ET.SubElement(layer, "Option", {"type": "Map"})
    for key, value in {"color": "255,255,255,255", "style": "solid", "outline_style": "no"}.items():
        ET.SubElement(values, "Option", {"name": key, "type": "QString", "value": value})
    return made


def _font(size_pt: float, bold: bool = False) -> str:
    return f"{FONTS[0]},{size_pt:g},-1,5,{75 if bold else 50},0,0,0,0,0"


def _label(
    parent: Element,
    name: str,
    text: str,
    box: tuple[float, float, float, float],
    size_pt: float,
    colour: str,
    bold: bool = False,
) -> None:
    made = _item(
        parent,
        _LABEL,
        name,
        box,
        3,
        {"labelText": text, "htmlState": "0", "halign": "1", "valign": "32", "marginX": "0", "marginY": "0"},
    )
    ET.SubElement(made, "LabelFont", {"description": _font(size_pt, bold), "style": "Bold" if bold else ""})
    ET.SubElement(made, "FontColor", _parts(colour))


def _legend(parent: Element, name: str, legend: Legend) -> None:
    made = _item(
        parent,
        _LEGEND,
        f"{name} legend",
        (MARGIN, 230, 330, 50),
        4,
        {
            "title": "",
            "columnCount": "5",
            "splitLayer": "1",
            "equalColumnWidth": "0",
            "columnSpace": "6",
            "boxSpace": "0",
            "symbolWidth": "9",
            "symbolHeight": "3.5",
            "lineSpacing": "0.5",
            "resizeToContents": "1",
            "legendFilterByMap": "0",
            "map_uuid": _id(f"{name} map"),
            "fontColor": hexed(style.INK),
            "titleAlignment": "1",
            "symbolAlignment": "1",
            "wrapChar": "",
            "rasterBorder": "0",
            "legendFilterByAtlas": "0",
            "maxSymbolSize": "6",
            "minSymbolSize": "0",
        },
    )
    styles = ET.SubElement(made, "styles")
    for kind, size, above in (
        ("title", 12, "0"),
        ("group", 10, "2"),
        ("subgroup", 10, "2"),
        ("symbol", 9, "0.8"),
        ("symbolLabel", 9, "1.5"),
    ):
        one = ET.SubElement(
            styles,
            "style",
            {
                "name": kind,
                "indent": "0",
                "alignment": "1",
                "marginTop": above,
                "marginBottom": "0.5",
                "marginLeft": "1.5" if kind == "symbolLabel" else "0",
            },
        )
        ET.SubElement(
            one,
            "styleFont",
            {
                "description": _font(size, kind in ("group", "subgroup")),
                "style": "Bold" if kind in ("group", "subgroup") else "",
            },
        )
    tree = ET.SubElement(made, "layer-tree-group")
    for key, title, lines in legend:
        layer = ET.SubElement(
            tree,
            "layer-tree-layer",
            {
                "id": key,
                "name": title,
                "checked": "Qt::Checked",
                "expanded": "1",
                "providerKey": "ogr",
                "legend_exp": "",
                "legend_split_behavior": "0",
                "patch_size": "-1,-1",
            },
        )
        values = ET.SubElement(ET.SubElement(layer, "customproperties"), "Option", {"type": "Map"})
        for prop, value in (
            ("cached_name", title),
            ("legend/node-order", ",".join(map(str, lines))),
            ("legend/title-label", title),
            ("legend/title-style", "subgroup"),
        ):
            ET.SubElement(values, "Option", {"name": prop, "type": "QString", "value": value})


def _scale(parent: Element, name: str) -> None:
    made = _item(
        parent,
        _SCALE,
        f"{name} scale bar",
        (345, 262, 65, 12),
        5,
        {
            "style": "Line Ticks Up",
            "mapUuid": _id(f"{name} map"),
            "unitType": "km",
            "unitLabel": "km",
            "numUnitsPerSegment": "2000",
            "numSegments": "2",
            "numSegmentsLeft": "0",
            "numMapUnitsPerScaleBarUnit": "1",
            "segmentSizeMode": "0",
            "segmentMillimeters": "20",
            "minBarWidth": "20",
            "maxBarWidth": "60",
            "height": "2",
            "boxContentSpace": "1",
            "labelBarSpace": "1",
            "outlineWidth": "0.3",
            "lineJoinStyle": "miter",
            "lineCapStyle": "square",
            "alignment": "0",
        },
    )
    made.append(text_style(8, style.INK))
    ET.SubElement(made, "strokeColor", _parts(style.INK))
    ET.SubElement(made, "fillColor", _parts(style.INK))
    ET.SubElement(made, "fillColor2", _parts(style.PAPER))
