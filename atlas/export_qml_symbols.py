"""Conditions, expressions and symbols as QGIS writes them in its style files (QML)."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from xml.etree import ElementTree as ET

from atlas import render_style as style
from atlas.export_symbols import HALO, MM_PER_PX, All, Fill, Grow, Is, Mark, Stroke, Symbol, Where, hexed

# Of a gate over 8 degrees, as off the Cape of Good Hope, the 5 at its coast, as on the web map. Degrees.
_GATE = "geometry_n($geometry, 1)"
SHORT = (
    f"if(length({_GATE}) <= 8, $geometry, if(abs(y(start_point({_GATE}))) < abs(y(end_point({_GATE}))), "
    f"line_substring({_GATE}, 0, 5), line_substring({_GATE}, length({_GATE}) - 5, length({_GATE}))))"
)
_SPACE = uuid.UUID("6f1b7a52-6c1d-5a0e-9b55-3c2b1d0f4a11")  # any fixed one: keys must be the same each time

Element = ET.Element


def key(*names: str) -> str:
    """Return the key of a rule: the same for the same names."""
    return "{" + str(uuid.uuid5(_SPACE, "|".join(names))) + "}"


def expression(where: Where) -> str:
    """Return a condition as an expression of QGIS, "" for what always holds."""
    if isinstance(where, Is):
        column = f'"{where.column}"'
        return f"{column} IS NULL" if where.op == "null" else f"{column} {where.op} {_literal(where.value)}"
    told = [expression(p) for p in where.parts]
    told = [f"({t})" if not isinstance(p, Is) else t for t, p in zip(told, where.parts, strict=True) if t]
    return (" AND " if isinstance(where, All) else " OR ").join(told)


def _literal(value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float | int) else "'" + value.replace("'", "''") + "'"


def amount(columns: Iterable[str]) -> str:
    """Return the expression of the greatest amount of some columns, 0 for nothing."""
    told = [f'abs(coalesce("{c}", 0))' for c in columns]
    return told[0] if len(told) == 1 else f"max({', '.join(told)})"


def size_expression(grow: Grow) -> str:
    """Return the expression of a width or diameter in millimetres."""
    return f"max({grow.least_mm:g}, {grow.at_100_kt_mm:g} * sqrt({amount(grow.columns)} / 100000))"


def tonnes_expression(columns: tuple[str, ...]) -> str:
    """Return the expression of tonnes as text, rounded to be read: one figure, or before → after where they differ."""

    def figure(c: str) -> str:
        t = f'coalesce("{c}", 0)'
        return f"format_number(if({t} >= 1000, round({t} / 100) * 100, round({t})), 0)"

    if len(columns) == 1:
        return f"{figure(columns[0])} || ' t'"
    a, b = columns
    same = f'abs(coalesce("{a}", 0) - coalesce("{b}", 0)) <= max(1, 0.01 * coalesce("{a}", 0))'
    return f"if({same}, {figure(b)}, {figure(a)} || ' → ' || {figure(b)}) || ' t'"


def rgba(colour: str, alpha: int = 255) -> str:
    """Return a colour as QGIS writes it: red,green,blue,alpha."""
    h = hexed(colour)
    return f"{int(h[1:3], 16)},{int(h[3:5], 16)},{int(h[5:7], 16)},{alpha}"


def options(values: Mapping[str, str], name: str = "") -> Element:
    """Return a map of texts as QGIS writes it."""
    made = ET.Element("Option", {"type": "Map", **({"name": name} if name else {})})
    for key, value in values.items():
        ET.SubElement(made, "Option", {"name": key, "type": "QString", "value": value})
    return made


def defined(expressions: Mapping[str, str], tag: str = "data_defined_properties") -> Element:
    """Return properties that follow an expression."""
    made = ET.Element(tag)
    whole = ET.SubElement(made, "Option", {"type": "Map"})
    ET.SubElement(whole, "Option", {"name": "name", "type": "QString", "value": ""})
    inner = ET.SubElement(whole, "Option", {"name": "properties", "type": "Map"})
    for key, text in expressions.items():
        one = ET.SubElement(inner, "Option", {"name": key, "type": "Map"})
        ET.SubElement(one, "Option", {"name": "active", "type": "bool", "value": "true"})
        ET.SubElement(one, "Option", {"name": "expression", "type": "QString", "value": text})
        ET.SubElement(one, "Option", {"name": "type", "type": "int", "value": "3"})
    ET.SubElement(whole, "Option", {"name": "type", "type": "QString", "value": "collection"})
    return made


def symbol(what: Symbol, name: str, cased: bool = False) -> Element:
    """Return a symbol of QGIS; `cased` gives a line its halo and its arrows on levels of their own."""
    kind = "line" if isinstance(what, Stroke) else "marker" if isinstance(what, Mark) else "fill"
    made = ET.Element("symbol", {"type": kind, "name": name, "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"})
    if isinstance(what, Stroke):
        if cased:
            made.append(_halo(what))
            if what.dash_mm:  # a tint that holds the dashes of a wide line together
                made.append(_line(replace(what, dash_mm=()), 1, 60))
        line = _line(what, 1 if cased else 0)
        made.append(_shortened(line, f"@{name}@{len(made)}") if what.short else line)
        if what.arrows is not None:
            made.append(_arrows(what, f"@{name}@{len(made)}", 2 if cased else 0))
    elif isinstance(what, Mark):
        made.append(_marker(what))
    else:
        made.append(_area(what))
    return made


def _symbol_layer(kind: str, values: Mapping[str, str], follows: Mapping[str, str], level: int = 0) -> Element:
    made = ET.Element("layer", {"class": kind, "enabled": "1", "locked": "0", "pass": str(level)})
    made.append(options(values))
    made.append(defined(follows))
    return made


def _width(line: Stroke) -> str:
    """Return the expression of a line's width, "" where it is fixed."""
    return f'"{line.strand[0]}"' if line.strand else size_expression(line.grow) if line.grow else ""


def _line(line: Stroke, level: int, alpha: int = 255) -> Element:
    follows = {"outlineWidth": _width(line)} if _width(line) else {}
    if line.strand:
        follows["offset"] = f'"{line.strand[1]}"'
        if line.dash_mm:  # dashes of a wide line are longer, as on the web map
            long = f'max(1, "{line.strand[0]}" / {4 * MM_PER_PX:.3f})'
            follows["customDash"] = " || ';' || ".join(f"round({d:g} * {long}, 2)" for d in line.dash_mm)
    dash = ";".join(f"{d:g}" for d in line.dash_mm)
    return _symbol_layer(
        "SimpleLine",
        {
            "line_color": rgba(line.colour, alpha),
            "line_width": f"{line.width_mm:g}",
            "line_width_unit": "MM",
            "line_style": "solid",
            "capstyle": "flat",
            "joinstyle": "round",
            "use_custom_dash": "1" if dash else "0",
            "customdash": dash or "5;2",
            "customdash_unit": "MM",
            "offset": "0",
            "offset_unit": "MM",
        },
        follows,
        level,
    )


def _shortened(line: Element, name: str) -> Element:
    """Return the symbol layer for the part of a long gate at its coast."""
    made = _symbol_layer(
        "GeometryGenerator",
        {"SymbolType": "Line", "geometryModifier": SHORT, "units": "MapUnit"},
        {},
        int(line.get("pass") or 0),
    )
    inner = ET.SubElement(
        made, "symbol", {"type": "line", "name": name, "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"}
    )
    inner.append(line)
    return made


def _halo(line: Stroke) -> Element:
    follows = {"outlineWidth": f"{_width(line)} + 0.42"} if _width(line) else {}
    if line.strand:
        follows["offset"] = f'"{line.strand[1]}"'
    return _symbol_layer(
        "SimpleLine",
        {
            "line_color": rgba(HALO),
            "line_width": f"{line.width_mm + 0.42:g}",
            "line_width_unit": "MM",
            "line_style": "solid",
            "capstyle": "flat",
            "joinstyle": "round",
            "use_custom_dash": "0",
            "offset": "0",
            "offset_unit": "MM",
        },
        follows,
    )


def _arrows(line: Stroke, name: str, level: int) -> Element:
    made = _symbol_layer(
        "MarkerLine",
        {
            "placement": "interval",
            "interval": "50",
            "interval_unit": "MM",
            "offset_along_line": "12",
            "offset_along_line_unit": "MM",
            "rotate": "1",
            "offset": "0",
            "offset_unit": "MM",
        },
        {"enabled": expression(line.arrows or All()) or "true"},
        level,
    )
    head = ET.Element("symbol", {"type": "marker", "name": name, "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"})
    width = f'"{line.strand[2]}"' if line.strand else _width(line) or f"{line.width_mm:g}"
    head.append(
        _symbol_layer(
            "SimpleMarker",
            {
                "name": "triangle",
                "color": rgba(style.INK),
                "outline_color": rgba(style.INK),
                "outline_style": "no",
                "outline_width": "0",
                "size": "1.6",
                "size_unit": "MM",
                "angle": "90",
                "joinstyle": "miter",
                "scale_method": "diameter",
            },
            {"size": f"1.6 * min(0.64 + 0.55 * {width}, 1.85)"},
        )
    )
    made.append(head)
    return made


def _marker(mark: Mark) -> Element:
    follows = {"size": size_expression(mark.grow)} if mark.grow else {}
    if mark.fills:
        cases = " ".join(f"WHEN {expression(where)} THEN '{rgba(colour)}'" for _, where, colour in mark.fills)
        follows["fillColor"] = f"CASE {cases} ELSE '{rgba(mark.fill)}' END"
    return _symbol_layer(
        "SimpleMarker",
        {
            "name": mark.shape,
            "color": rgba(mark.fill),
            "outline_color": rgba(mark.edge),
            "outline_style": "solid",
            "outline_width": f"{mark.edge_mm:g}",
            "outline_width_unit": "MM",
            "size": f"{mark.size_mm:g}",
            "size_unit": "MM",
            "angle": "0",
            "joinstyle": "miter",
            "scale_method": "diameter",
        },
        follows,
    )


def _area(area: Fill) -> Element:
    return _symbol_layer(
        "SimpleFill",
        {
            "color": rgba(area.colour),
            "style": "solid",
            "outline_color": rgba(area.edge),
            "outline_style": "solid",
            "outline_width": f"{area.edge_mm:g}",
            "outline_width_unit": "MM",
            "joinstyle": "round",
        },
        {},
    )
