"""Looks as QML, the style files of QGIS (3.22 and newer): rules, labels, aliases, hidden fields, tips."""

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET

from atlas.export_fields import Field
from atlas.export_qml_labels import labelling
from atlas.export_qml_symbols import amount, expression, key, symbol
from atlas.export_symbols import Look, Rule

QGIS_VERSION = "3.22.0"  # the oldest whose projects and styles these are
# Of use to programs or to styles only: not shown in tables and forms.
HIDDEN = frozenset(
    {
        "fid",
        "OGC_FID",
        "lon",
        "lat",
        "lane_id",
        "route_id",
        "stretch_id",
        "draw_order",
        "width_mm",
        "offset_mm",
        "whole_mm",
        "arrow",
        "operator_ids",
        "feeds_text",
        "model_note",
        "reported",
        "never_by",
    }
)

Element = ET.Element


def qml_text(look: Look, columns: Iterable[str], fields: Mapping[str, Field]) -> str:
    """Return a style file of QGIS for a table of these columns; `fields` gives their aliases."""
    root = ET.Element(
        "qgis", {"version": QGIS_VERSION, "styleCategories": "AllStyleCategories", **layer_attributes(look)}
    )
    for part in layer_parts(look, list(columns), fields):
        root.append(part)
    ET.SubElement(root, "layerGeometryType").text = {"point": "0", "line": "1", "polygon": "2"}[look.geometry]
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + ET.tostring(root, encoding="unicode") + "\n"


def layer_parts(look: Look, columns: list[str], fields: Mapping[str, Field]) -> list[Element]:
    """Return the elements of a layer's style as they stand in a style file and in a layer of a project."""
    parts = [_renderer(look)]
    if look.words:
        parts.append(labelling(look))
    blend = ET.Element("blendMode")
    blend.text = "0"
    return [*parts, blend, *field_parts(columns, fields), _tip(look, columns, fields), _preview(look)]


def layer_attributes(look: Look) -> dict[str, str]:
    """Return what a style file and a layer of a project say of drawing in their first element."""
    return {
        "labelsEnabled": "1" if look.words else "0",
        "simplifyDrawingHints": "1",
        "simplifyDrawingTol": "1",
        "simplifyLocal": "1",
        "simplifyAlgorithm": "0",
        "simplifyMaxScale": "1",
        "hasScaleBasedVisibilityFlag": "0",
        "minScale": "100000000",
        "maxScale": "0",
        "readOnly": "0",
        "symbologyReferenceScale": "-1",
    }


def _renderer(look: Look) -> Element:
    made = ET.Element(
        "renderer-v2",
        {
            "type": "RuleRenderer",
            "symbollevels": "1" if look.cased else "0",
            "forceraster": "0",
            "referencescale": "-1",
            "enableorderby": "1" if look.order or look.rank else "0",
        },
    )
    rules = ET.SubElement(made, "rules", {"key": key(look.name)})
    symbols = ET.SubElement(made, "symbols")
    for k, rule in enumerate(look.rules):
        rules.append(_rule(rule, k, look))
        symbols.append(symbol(rule.symbol, str(k), look.cased))
    if look.order or look.rank:
        order = ET.SubElement(made, "orderby")
        by = f'"{look.rank}"' if look.rank else amount(look.order)
        ET.SubElement(order, "orderByClause", {"asc": "1" if look.rank else "0", "nullsFirst": "0"}).text = by
    return made


def _rule(rule: Rule, number: int, look: Look) -> Element:
    made = {"key": key(look.name, rule.label, str(number)), "symbol": str(number), "label": rule.label}
    if where := expression(rule.where):
        made["filter"] = where
    if rule.from_scale:
        made |= {"scalemindenom": "0", "scalemaxdenom": str(rule.from_scale)}
    if not rule.shown:
        made["checkstate"] = "0"
    return ET.Element("rule", made)


def field_parts(columns: list[str], fields: Mapping[str, Field]) -> list[Element]:
    """Return aliases, the widgets of forms and the columns of the attribute table."""
    shown = [c for c in columns if c not in HIDDEN]
    setup, aliases = ET.Element("fieldConfiguration"), ET.Element("aliases")
    for k, c in enumerate(columns):
        field = ET.SubElement(setup, "field", {"name": c, "configurationFlags": "None"})
        widget = ET.SubElement(field, "editWidget", {"type": "Hidden" if c in HIDDEN else "TextEdit"})
        ET.SubElement(ET.SubElement(widget, "config"), "Option")
        ET.SubElement(aliases, "alias", {"field": c, "index": str(k), "name": alias(c, fields)})
    table = ET.Element(
        "attributetableconfig", {"actionWidgetStyle": "dropDown", "sortOrder": "0", "sortExpression": ""}
    )
    rows = ET.SubElement(table, "columns")
    for c in columns:
        ET.SubElement(rows, "column", {"type": "field", "name": c, "hidden": "0" if c in shown else "1", "width": "-1"})
    ET.SubElement(rows, "column", {"type": "actions", "hidden": "1", "width": "-1"})
    return [setup, aliases, table]


def alias(column: str, fields: Mapping[str, Field]) -> str:
    """Return a column's name for people, with its unit where it has one; "" where it is not known."""
    field = fields.get(column)
    if field is None:
        return ""
    told = not field.unit or field.unit.lower() in field.alias.lower()
    return field.alias if told else f"{field.alias} ({field.unit})"


def _tip(look: Look, columns: list[str], fields: Mapping[str, Field]) -> Element:
    """Return what a layer says where the pointer rests: its first columns that are not empty."""
    made = ET.Element("mapTip")
    told = [c for c in columns if c not in HIDDEN and c != look.tip][:14]
    rows = "".join(_tip_row(c, alias(c, fields) or c, c in fields and fields[c].type == "float") for c in told)
    made.text = f'<b>[% "{look.tip}" %]</b><table>{rows}</table>'
    return made


def _tip_row(column: str, heading: str, number: bool) -> str:
    value = f'"{column}"'
    if number:
        value = f"format_number({value}, if(abs({value}) < 100, 2, 0))"
    cells = f"'<tr><td>{heading.replace(chr(39), chr(39) * 2)}</td><td>' || {value} || '</td></tr>'"
    return f"[% if(coalesce(to_string(\"{column}\"), '') = '', '', {cells}) %]"


def _preview(look: Look) -> Element:
    made = ET.Element("previewExpression")
    made.text = f'"{look.tip}"'
    return made
