"""Looks as SLD 1.1 (Symbology Encoding), for GeoServer, and for QGIS where no QML is wanted.

SLD knows no sizes that follow a figure, in what QGIS reads of it: where a look grows with tonnes, each rule becomes one
for each class of tonnes. Sizes are in pixels of 0.28 mm, as the standard has them.
"""

from dataclasses import replace
from xml.etree import ElementTree as ET

from atlas.export_symbols import (
    HALO,
    NEVER,
    All,
    Fill,
    Grow,
    Is,
    Look,
    Mark,
    Rule,
    Some,
    Stroke,
    Symbol,
    Where,
    Words,
    hexed,
)

SLD, SE, OGC = "http://www.opengis.net/sld", "http://www.opengis.net/se", "http://www.opengis.net/ogc"
PX_PER_MM = 1 / 0.28
# classes of tonnes a year: from, to, and the tonnes that the class is drawn by
CLASSES: tuple[tuple[float, float, float], ...] = (
    (0.0, 300.0, 100.0),
    (300.0, 3_000.0, 1_000.0),
    (3_000.0, 15_000.0, 7_000.0),
    (15_000.0, 50_000.0, 27_000.0),
    (50_000.0, 1e12, 75_000.0),
)
_COMPARE = {
    "=": "PropertyIsEqualTo",
    "<>": "PropertyIsNotEqualTo",
    ">": "PropertyIsGreaterThan",
    ">=": "PropertyIsGreaterThanOrEqualTo",
    "<": "PropertyIsLessThan",
    "<=": "PropertyIsLessThanOrEqualTo",
}

Element = ET.Element


def sld_text(look: Look) -> str:
    """Return the look as an SLD document; labels carry names, since SLD cannot put a figure beside them everywhere."""
    for prefix, space in (("", SLD), ("se", SE), ("ogc", OGC)):
        ET.register_namespace(prefix, space)
    root = ET.Element(f"{{{SLD}}}StyledLayerDescriptor", {"version": "1.1.0"})
    named = ET.SubElement(root, f"{{{SLD}}}NamedLayer")
    _text(named, SE, "Name", look.layer)
    user = ET.SubElement(named, f"{{{SLD}}}UserStyle")
    _text(user, SE, "Name", look.name)
    _described(user, look.title)
    feature = ET.SubElement(user, f"{{{SE}}}FeatureTypeStyle")
    for rule in look.rules:
        if rule.where is NEVER or not rule.shown:
            continue
        if isinstance(rule.where, Is) and isinstance(rule.where.value, bool):
            # QGIS reads no condition on yes or no that holds in it and in SQLite alike: one look for both.
            if rule.where.value:
                _rules(feature, replace(rule, label=rule.label.partition(",")[0], where=All()))
            continue
        _rules(feature, rule)
    for words in look.words:
        _label(feature, words, look.geometry)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _text(parent: Element, space: str, name: str, text: str) -> Element:
    made = ET.SubElement(parent, f"{{{space}}}{name}")
    made.text = text
    return made


def _described(parent: Element, title: str) -> None:
    _text(ET.SubElement(parent, f"{{{SE}}}Description"), SE, "Title", title)


def _rules(parent: Element, rule: Rule) -> None:
    """Add a rule, or one for each colour and each class of tonnes."""
    if isinstance(rule.symbol, Mark) and rule.symbol.fills:
        for words, where, colour in rule.symbol.fills:
            mark = replace(rule.symbol, fill=colour, fills=())
            _rules(parent, replace(rule, label=f"{rule.label}: {words}", where=All((rule.where, where)), symbol=mark))
        return
    grow = None if isinstance(rule.symbol, Fill) else rule.symbol.grow
    if grow is None:
        _rule(parent, rule.label, rule.where, rule.symbol, None, rule.from_scale)
        return
    for low, high, drawn in CLASSES:
        words = f"{low:,.0f} to {high:,.0f} t" if low and high < 1e9 else f"up to {high:,.0f} t"
        if high > 1e9:
            words = f"over {low:,.0f} t"
        where = All((rule.where, _within(grow, low, high)))
        _rule(parent, f"{rule.label}, {words} a year", where, rule.symbol, grow.size_mm(drawn), rule.from_scale)


def _within(grow: Grow, low: float, high: float) -> Where:
    """Return the condition that the greatest amount of the columns lies in a class; losses are below zero."""
    signed = any(c.startswith("change") for c in grow.columns)
    over: list[Where] = [Is(c, ">", low) for c in grow.columns]
    over += [Is(c, "<", -low) for c in grow.columns] if signed else []
    under: list[Where] = [] if high > 1e9 else [Some((Is(c, "null"), Is(c, "<=", high))) for c in grow.columns]
    if signed and high <= 1e9:
        under += [Some((Is(c, "null"), Is(c, ">=", -high))) for c in grow.columns]
    return All((Some(tuple(over)), *under))


def _rule(parent: Element, label: str, where: Where, symbol: Symbol, size_mm: float | None, from_scale: int) -> None:
    made = ET.SubElement(parent, f"{{{SE}}}Rule")
    _text(made, SE, "Name", label)
    _described(made, label)
    _filter(made, where)
    if from_scale:
        _text(made, SE, "MaxScaleDenominator", str(from_scale))
    if isinstance(symbol, Stroke):
        line = ET.SubElement(made, f"{{{SE}}}LineSymbolizer")
        _stroke(line, symbol.colour, size_mm or symbol.width_mm, symbol.dash_mm)
    elif isinstance(symbol, Mark):
        _mark(made, symbol, size_mm or symbol.size_mm)
    else:
        area = ET.SubElement(made, f"{{{SE}}}PolygonSymbolizer")
        _parameter(ET.SubElement(area, f"{{{SE}}}Fill"), "fill", hexed(symbol.colour))
        _stroke(area, symbol.edge, symbol.edge_mm)


def _parameter(parent: Element, name: str, value: str) -> None:
    made = ET.SubElement(parent, f"{{{SE}}}SvgParameter", {"name": name})
    made.text = value


def _stroke(parent: Element, colour: str, width_mm: float, dash_mm: tuple[float, ...] = ()) -> None:
    made = ET.SubElement(parent, f"{{{SE}}}Stroke")
    _parameter(made, "stroke", hexed(colour))
    _parameter(made, "stroke-width", f"{width_mm * PX_PER_MM:.2g}")
    if dash_mm:
        _parameter(made, "stroke-dasharray", " ".join(f"{max(1, round(d * PX_PER_MM))}" for d in dash_mm))


def _mark(parent: Element, mark: Mark, size_mm: float) -> None:
    graphic = ET.SubElement(ET.SubElement(parent, f"{{{SE}}}PointSymbolizer"), f"{{{SE}}}Graphic")
    made = ET.SubElement(graphic, f"{{{SE}}}Mark")
    _text(made, SE, "WellKnownName", mark.shape)
    _parameter(ET.SubElement(made, f"{{{SE}}}Fill"), "fill", hexed(mark.fill))
    _stroke(made, mark.edge, mark.edge_mm)
    _text(graphic, SE, "Size", f"{size_mm * PX_PER_MM:.3g}")


def _label(parent: Element, words: Words, geometry: str) -> None:
    made = ET.SubElement(parent, f"{{{SE}}}Rule")
    _text(made, SE, "Name", "Names")
    _filter(made, words.where)
    _text(made, SE, "MaxScaleDenominator", str(words.from_scale))
    text = ET.SubElement(made, f"{{{SE}}}TextSymbolizer")
    label = ET.SubElement(text, f"{{{SE}}}Label")
    _text(label, OGC, "PropertyName", words.name)
    font = ET.SubElement(text, f"{{{SE}}}Font")
    _parameter(font, "font-family", "Open Sans")
    _parameter(font, "font-style", "italic" if words.italic else "normal")
    _parameter(font, "font-weight", "bold" if words.bold else "normal")
    _parameter(font, "font-size", f"{words.size_pt / 72 * 25.4 * PX_PER_MM:.3g}")
    if geometry == "point":
        placed = ET.SubElement(ET.SubElement(text, f"{{{SE}}}LabelPlacement"), f"{{{SE}}}PointPlacement")
        anchor = ET.SubElement(placed, f"{{{SE}}}AnchorPoint")
        _text(anchor, SE, "AnchorPointX", "0")
        _text(anchor, SE, "AnchorPointY", "0.5")
        moved = ET.SubElement(placed, f"{{{SE}}}Displacement")
        _text(moved, SE, "DisplacementX", "6")
        _text(moved, SE, "DisplacementY", "0")
    halo = ET.SubElement(text, f"{{{SE}}}Halo")
    _text(halo, SE, "Radius", "2")
    _parameter(ET.SubElement(halo, f"{{{SE}}}Fill"), "fill", hexed(HALO))
    _parameter(ET.SubElement(text, f"{{{SE}}}Fill"), "fill", hexed(words.colour))


def _filter(parent: Element, where: Where) -> None:
    made = _condition(where)
    if made is not None:
        ET.SubElement(parent, f"{{{OGC}}}Filter").append(made)


def _condition(where: Where) -> Element | None:
    """Return a condition as a filter of the OGC, None for what always holds."""
    if isinstance(where, Is):
        made = ET.Element(f"{{{OGC}}}{'PropertyIsNull' if where.op == 'null' else _COMPARE[where.op]}")
        _text(made, OGC, "PropertyName", where.column)
        if where.op != "null":
            _text(made, OGC, "Literal", where.value if isinstance(where.value, str) else f"{where.value:.15g}")
        return made
    parts = [p for p in map(_condition, where.parts) if p is not None]
    if len(parts) < 2:
        return parts[0] if parts else None
    made = ET.Element(f"{{{OGC}}}{'And' if isinstance(where, All) else 'Or'}")
    made.extend(parts)
    return made
