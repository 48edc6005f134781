"""Labels as QGIS writes them in its style files (QML): text with a halo, placed, by scale and tonnes."""

from xml.etree import ElementTree as ET

from atlas.export_qml_symbols import SHORT, amount, defined, expression, key, rgba, tonnes_expression
from atlas.export_symbols import HALO, Look, Words

FONTS = ("Open Sans", "Noto Sans", "Segoe UI", "Arial", "DejaVu Sans")  # the first that the reader's system has

Element = ET.Element


def labelling(look: Look) -> Element:
    """Return the labels of a look, rule by rule."""
    made = ET.Element("labeling", {"type": "rule-based"})
    rules = ET.SubElement(made, "rules", {"key": key(look.name, "labels")})
    for k, words in enumerate(look.words):
        attributes = {
            "key": key(look.name, "label", str(k)),
            "scalemindenom": "0",
            "scalemaxdenom": str(words.from_scale),
        }
        if where := expression(words.where):
            attributes["filter"] = where
        rule = ET.SubElement(rules, "rule", attributes)
        rule.append(_settings(look, words, len(look.words) - k))
    return made


def _settings(look: Look, words: Words, rank: int) -> Element:
    """Return how labels of one kind are written and placed."""
    made = ET.Element("settings", {"calloutType": "simple"})
    text = f'"{words.name}"' + (f" || '\\n' || {tonnes_expression(words.tonnes)}" if words.tonnes else "")
    made.append(text_style(words.size_pt, words.colour, words.bold, words.italic, text))
    ET.SubElement(
        made,
        "text-format",
        {"autoWrapLength": "0", "wrapChar": "", "useMaxLineLengthForAutoWrap": "1", "multilineAlign": "3"},
    )
    # Around a point; beside a line, level to be read; inside an area.
    how = {
        "point": {
            "placement": "6",
            "predefinedPositionOrder": "R,L,TR,BR,TL,BL,TSR,BSR",
            "dist": "0.6",
            "offsetType": "1",
        },
        "line": {
            "placement": "6",
            "predefinedPositionOrder": "R,L,TR,BR,TL,BL,TSR,BSR",
            "dist": "1",
            "offsetType": "0",
            "geometryGeneratorEnabled": "1",
            "geometryGenerator": f"line_interpolate_point(geometry_n({SHORT}, 1), length(geometry_n({SHORT}, 1)) / 2)",
            "geometryGeneratorType": "PointGeometry",
            "layerType": "LineGeometry",
        },
        "polygon": {"placement": "1", "centroidInside": "1", "dist": "0", "fitInPolygonOnly": "0", "quadOffset": "4"},
    }[look.geometry]
    ET.SubElement(made, "placement", {"distUnits": "MM", "priority": str(min(10, 4 + 2 * rank)), **how})
    ET.SubElement(
        made,
        "rendering",
        {
            "drawLabels": "1",
            "obstacle": "1",
            "obstacleFactor": "1",
            "displayAll": "0",
            "scaleVisibility": "0",
            "labelPerPart": "0",
            "upsidedownLabels": "0",
            "minFeatureSize": f"{words.least_mm:g}",
            "limitNumLabels": "0",
            "maxNumLabels": "2000",
            "zIndex": str(rank),
            "fontMinPixelSize": "3",
            "fontMaxPixelSize": "10000",
            "fontLimitPixelSize": "0",
            "mergeLines": "0",
            "obstacleType": "1",
        },
    )
    if look.order:  # more tonnes, more right to a place
        made.append(defined({"Priority": f"min(10, 2 + 2 * log10(1 + {amount(look.order)}))"}, "dd_properties"))
    return made


def text_style(size_pt: float, colour: str, bold: bool = False, italic: bool = False, field: str = "") -> Element:
    """Return a format of text with a halo; with `field` an expression that is written with it."""
    made = ET.Element(
        "text-style",
        {
            "fontFamily": FONTS[0],
            "namedStyle": ("Bold" if bold else "") + (" Italic" if italic else ""),
            "fontWeight": "75" if bold else "50",
            "fontItalic": "1" if italic else "0",
            "fontSize": f"{size_pt:g}",
            "fontSizeUnit": "Point",
            "textColor": rgba(colour),
            "textOpacity": "1",
            "fontKerning": "1",
            "multilineHeight": "0.9",
            "blendMode": "0",
            "allowHtml": "0",
            "useSubstitutions": "0",
            "fieldName": field,
            "isExpression": "1" if field else "0",
            "textOrientation": "horizontal",
            "capitalization": "0",
        },
    )
    families = ET.SubElement(made, "families")
    for name in FONTS:
        ET.SubElement(families, "family", {"name": name})
    ET.SubElement(
        made,
        "text-buffer",
        {
            "bufferDraw": "1" if field else "0",
            "bufferSize": "0.7",
            "bufferSizeUnits": "MM",
            "bufferColor": rgba(HALO),
            "bufferOpacity": "0.9",
            "bufferNoFill": "1",
            "bufferJoinStyle": "128",
            "bufferBlendMode": "0",
        },
    )
    return made
