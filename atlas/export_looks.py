"""How exported layers look in a GIS: one description of each, with colours, shapes and dashes of the web map.

`export_qml` and `export_sld` write it for programs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from atlas import render_style as style
from atlas.chain import Chain
from atlas.chain_words import reworded
from atlas.export_symbols import MM_PER_PX, NEVER, All, Fill, Grow, Is, Look, Mark, Rule, Some, Stroke, Where, Words

MOST_SCALE = 500_000_000  # smaller than a map of the world
VIEWS = ("before", "after", "change")
# Of land and sea: as in `static/frame.css`.
SEA, LAND, LAND_BLOC, LAND_HALTED, LAND_EDGE = "#EEF3F6", "#F7F5EF", "#DDE9EE", "#F6DAD2", "#B9C2CB"
SOFT = "#5B6770"


def looks(layer: str, columns: Iterable[str]) -> tuple[Look, ...]:
    """Return the looks of a layer, the default one first; none for a layer without one.

    `columns` are those of the table: without results (no `halted_t`) only what needs none is drawn.
    """
    columns = frozenset(columns)
    solved = "halted_t" in columns
    made = {
        "facilities": lambda: [_facilities(v, solved) for v in (("", *VIEWS) if "change_t" in columns else ("",))],
        "ports": lambda: [_ports(v, solved) for v in (("", "before", "after") if solved else ("",))],
        "passages": lambda: [_passages(v, solved) for v in (("", "before", "after") if solved else ("",))],
        "network": lambda: [_network()],
        "flows": lambda: [_flows(v) for v in ("", "before", "after")],
        "changes": lambda: [_changes("source" in columns)],
        "chokepoints": lambda: [_chokepoint_points(), _chokepoint_lines()],
        "stretches": lambda: [_stretches(v) for v in ("change", "before", "after")],
        "backdrop": lambda: [_backdrop()],
    }.get(layer)
    return tuple(made()) if made else ()


def worded(look: Look, chain: Chain) -> Look:
    """Return the look with its titles and labels in the words of another commodity's chain."""
    rules = tuple(replace(r, label=reworded(r.label, chain)) for r in look.rules)
    return replace(look, title=reworded(look.title, chain), rules=rules)


def closed(look: Look, ids: Sequence[str]) -> Look:
    """Return the look of places with those that a halt names in red; the look as it is where it names none."""
    if not ids:
        return look
    named = Some(tuple(Is("id", "=", i) for i in ids))
    others = tuple(Is("id", "<>", i) for i in ids)
    symbol: Stroke | Mark = Mark("cross2", style.HALT, style.HALT, 3.2, 0.8)
    if look.geometry == "line":
        symbol = Stroke(style.HALT, 1.2, short=True)
    words = tuple(replace(w, where=All((w.where, *others))) for w in look.words)
    if look.words:
        shown = max(look.words, key=lambda w: w.from_scale)
        words = (replace(shown, where=named, from_scale=MOST_SCALE, colour=style.HALT, bold=True), *words)
    return replace(look, rules=(*look.rules, Rule("Named in a halt", named, symbol)), words=words)


def _mm(px: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(p * MM_PER_PX, 2) for p in px)


def _wide(columns: Sequence[str], least_px: float = style.WIDTH_MIN_PX) -> Grow:
    least, most = _mm((least_px, style.WIDTH_AT_100_KT_PX))
    return Grow(tuple(columns), least, most)


def _tonnes_of(view: str) -> tuple[str, ...]:
    return {"before": ("baseline_t",), "after": ("halted_t",)}.get(view, ("baseline_t", "halted_t"))


def _none_in(columns: Iterable[str]) -> Where:
    return All(tuple(Some((Is(c, "null"), Is(c, "<=", 0.0))) for c in columns))


def _facilities(view: str, solved: bool) -> Look:
    columns = _tonnes_of(view) if solved else ("output_t",)
    # A little smaller than on the web map, whose plants can be switched off where they hide lines.
    least, most = _mm((1.7 * style.RADIUS_MIN_PX, 1.5 * style.RADIUS_AT_100_KT_PX))
    grow = Grow(columns, least, most)
    used = Some(tuple(Is(c, ">", 0.0) for c in columns))
    word = {"before": ", before", "after": ", after"}.get(view, "")
    rules = [
        Rule(
            f"{style.STAGE_LABELS[s]}: no output{word or ' in the model'}",
            All((Is("stage", "=", s), _none_in(columns))),
            Mark(style.SHAPES[s], style.PAPER, style.COLOURS[s], 1.9, 0.35),
            from_scale=40_000_000,
        )
        for s in style.STAGES
    ]
    if view == "change":
        rules += [*_changed_facilities(grow, used), *_size_samples(grow)]
    else:
        rules += [
            Rule(
                f"{style.STAGE_LABELS[s]}{word}",
                All((Is("stage", "=", s), used)),
                Mark(style.SHAPES[s], style.COLOURS[s], style.INK, 3.0, 0.2, grow),
            )
            for s in style.STAGES
        ]
        rules += _size_samples(grow)
    most_t = columns[0] if len(columns) == 1 else "baseline_t"
    return Look(
        "facilities",
        f"atlas facilities {view}".strip(),
        f"Facilities{word}: symbol by stage, size by tonnes a year",
        "point",
        tuple(rules),
        (
            Words(Is(most_t, ">", 20_000.0), 30_000_000, "name"),
            Words(All((Is(most_t, ">", 2_000.0), Is(most_t, "<=", 20_000.0))), 14_000_000, "name", size_pt=7.5),
            Words(Some((Is(most_t, "null"), Is(most_t, "<=", 2_000.0))), 5_000_000, "name", size_pt=7.5, colour=SOFT),
        ),
        order=columns,
        tip="name",
    )


def _changed_facilities(grow: Grow, used: Where) -> list[Rule]:
    """Return rules by stage (shape) with what became of the output (colour), as the map of changes has it."""
    b, a, d = "baseline_t", "halted_t", "change_t"
    colours = {"grown": style.BLUE, **{k: style.CHANGES[k][0] for k in ("lost", "reduced", "kept")}}
    fills = (
        ("output lost", All((Is(d, "<", -1.0), Is(a, "<=", 0.5))), colours["lost"]),
        ("less output", All((Is(d, "<", -1.0), Is(a, ">", 0.5))), colours["reduced"]),
        ("as before", All((Is(d, ">=", -1.0), Is(d, "<=", 1.0), Is(b, ">", 0.0))), colours["kept"]),
        ("more output", Is(d, ">", 1.0), colours["grown"]),
    )
    rules = [
        Rule(
            style.STAGE_LABELS[s],
            All((Is("stage", "=", s), used)),
            Mark(style.SHAPES[s], style.PAPER, style.INK, 3.0, 0.2, grow, fills),
        )
        for s in style.STAGES
    ]
    return rules + [Rule(label.capitalize(), NEVER, Mark("circle", c, style.INK, 3.0, 0.2)) for label, _, c in fills]


def _size_samples(grow: Grow) -> list[Rule]:
    return [
        Rule(f"Size: {t:,} t a year", NEVER, Mark("circle", style.PAPER, style.INK, grow.size_mm(t), 0.2))
        for t in (1_000, 10_000, 100_000)
    ]


def _width_samples(grow: Grow) -> list[Rule]:
    return [
        Rule(f"Width: {t:,} t a year", NEVER, Stroke(style.SLATE, grow.size_mm(t))) for t in (1_000, 10_000, 100_000)
    ]


def _ports(view: str, solved: bool) -> Look:
    columns = _tonnes_of(view)
    mark = Mark("square", style.PAPER, SOFT, 1.4, 0.3)
    if not solved:
        return Look(
            "ports",
            "atlas ports",
            "Ports",
            "point",
            (Rule("Port", All(), mark),),
            (Words(All(), 8_000_000, "name", colour=SOFT),),
            tip="name",
        )
    word = {"before": " before", "after": " after"}.get(view, "")
    used = Some(tuple(Is(c, ">", 0.5) for c in columns))
    main = columns[-1]
    told = ("baseline_t", "halted_t") if not view else (main,)
    grow = Grow(columns, 1.3, 5.5)
    return Look(
        "ports",
        f"atlas ports {view}".strip(),
        f"Ports: size by rare-earth tonnes through them{word}",
        "point",
        (
            Rule(
                "Port without rare-earth tonnes", _none_in(columns), replace(mark, size_mm=1.0), from_scale=15_000_000
            ),
            Rule(f"Port with rare-earth tonnes{word}", used, replace(mark, grow=grow), from_scale=70_000_000),
        ),
        (
            Words(Some(tuple(Is(c, ">", 10_000.0) for c in columns)), 40_000_000, "name", told, 7.5, SOFT),
            Words(All((used, *(Is(c, "<=", 10_000.0) for c in columns))), 12_000_000, "name", told, 7.0, SOFT),
        ),
        order=columns,
        tip="name",
    )


def _passages(view: str, solved: bool) -> Look:
    gate = Stroke(style.INK, 0.6, _mm((4, 3)), short=True)
    shut = Stroke(SOFT, 0.5, (0.4, 1.0), short=True)
    rules = [
        Rule("Passage, open as a rule", Is("default_open", "=", True), gate),
        Rule("Passage, shut as a rule", Is("default_open", "=", False), shut),
    ]
    if not solved:
        words = (Words(All(), 60_000_000, "name", bold=True),)
        return Look("passages", "atlas passages", "Passages: gate lines", "line", tuple(rules), words, tip="name")
    columns = _tonnes_of(view)
    told = ("baseline_t", "halted_t") if not view else columns
    word = {"before": " before", "after": " after"}.get(view, " before → after")
    much = Some(tuple(Is(c, ">", 2_500.0) for c in columns))
    some = All((Some(tuple(Is(c, ">", 0.5) for c in columns)), *(Is(c, "<=", 2_500.0) for c in columns)))
    return Look(
        "passages",
        f"atlas passages {view}".strip(),
        f"Passages: gate lines with rare-earth tonnes{word}",
        "line",
        tuple(rules),
        (
            Words(much, 150_000_000, "name", told, 7.5, bold=True),
            Words(some, 50_000_000, "name", told, 7.0, bold=True),
            Words(_none_in(columns), 20_000_000, "name", (), 7.0, SOFT),
        ),
        tip="name",
    )


def _network() -> Look:
    rules = [
        Rule(
            f"{label} ({'lane' if mode == 'sea' else 'line' if mode in ('rail', 'air') else 'trunk'})",
            Is("mode", "=", mode),
            Stroke(colour, 0.3 if mode == "sea" else 0.25, _mm(dash)),
            from_scale=0 if mode in ("sea", "rail") else 60_000_000,
        )
        for mode, (colour, dash, label) in style.MODE_STYLES.items()
    ]
    return Look("network", "atlas network", "Network by mode", "line", tuple(rules))


def _goods(columns: tuple[str, ...], within: Where, shown: bool, word: str, arrows_t: float) -> list[Rule]:
    """Return rules by commodity, ways round a ban dashed above them, of features within a condition."""
    grow = _wide(columns)
    return [
        Rule(
            f"{style.COMMODITY_LABELS[c]} ({style.COMMODITY_UNITS[c]} a year){word}",
            All((within, Is("commodity", "=", c))),
            Stroke(style.COLOURS[c], 0.9, (), grow, Is(columns[0], ">=", arrows_t)),
            shown,
        )
        for c in style.COMMODITIES
    ]


def _flows(view: str) -> Look:
    """Return the look of flows lane by lane; without a view those after are ticked and those before are not."""
    after, before = Is("state", "=", "halted"), Is("state", "=", "baseline")
    shown: Where = {"before": before, "after": after}.get(view, after)
    rules = _goods(("tonnes",), shown, True, "", 2_000.0)
    if not view:
        rules += _goods(("tonnes",), before, False, ", before", 2_000.0)
    rules.append(Rule(style.VIA[2], All((Is("via", "<>", ""), shown)), Stroke(style.INK, 0.45, _mm(style.VIA[1]))))
    rules += _width_samples(_wide(("tonnes",)))
    title = f"Flows {view} by commodity, lane by lane: width by tonnes a year".replace("  ", " ")
    return Look("flows", f"atlas flows {view}".strip(), title, "line", tuple(rules), order=("tonnes",))


def _changes(told_apart: bool) -> Look:
    grow = _wide(("change_t",), 1.2)
    rules: list[Rule] = []
    for key, (colour, dash, label) in style.CHANGES.items():
        kind, _, source = key.partition("-")
        if source == "other" and not told_apart:
            continue
        if source and not told_apart:
            label = label.partition(",")[0]
        where: Where = Is("kind", "=", kind)
        if source and told_apart:
            where = All((where, Is("source", "=", source)))
        if kind == "kept":
            rules.insert(0, Rule(label, where, Stroke(colour, 0.15)))
        else:
            rules.append(Rule(label, where, Stroke(colour, 0.9, _mm(dash), grow)))
    return Look(
        "changes",
        "atlas changes",
        "Change of each lane: kind by colour and dashes, width by tonnes a year lost or gained",
        "line",
        (*rules, *_width_samples(grow)),
        order=("change_t",),
    )


def _stretches(view: str) -> Look:
    """Return the look of what the web map draws: the sums of all lanes on a stretch, side by side."""
    strand, grow = ("width_mm", "offset_mm", "whole_mm"), _wide(("tonnes",))
    arrows = All((Is("arrow", "=", True), Is("whole_mm", ">=", 0.4)))
    within = Is("view", "=", view)
    rules: list[Rule] = []
    if view == "change":
        for key, (colour, dash, label) in style.CHANGES.items():
            kind, _, source = key.partition("-")
            where = All((within, Is("kind", "=", kind), *((Is("source", "=", source),) if source else ())))
            made = Stroke(
                colour, 0.3 if kind == "kept" else 0.9, _mm(dash), None if kind == "kept" else grow, arrows, strand
            )
            rules.append(Rule(label, where, made))
        title = "Change on each stretch: kind by colour and dashes, width by tonnes a year lost or gained"
    else:
        rules += [
            Rule(
                f"{style.COMMODITY_LABELS[c]} ({style.COMMODITY_UNITS[c]} a year)",
                All((within, Is("commodity", "=", c), Is("kind", "=", ""))),
                Stroke(style.COLOURS[c], 0.9, (), grow, arrows, strand),
            )
            for c in style.COMMODITIES
        ]
        title = f"Flows on each stretch {view}: commodity by colour, width by tonnes a year"
    via = Stroke(style.INK, 0.45, _mm(style.VIA[1]), None, arrows, strand)
    rules += [Rule(style.VIA[2], All((within, Is("kind", "=", "via"))), via), *_width_samples(grow)]
    return Look("stretches", f"atlas stretches {view}", title, "line", tuple(rules), rank="draw_order", cased=True)


def _chokepoint_points() -> Look:
    grow = Grow(("lost_t",), 1.2, 9.0)
    shapes = {
        "facility": "circle",
        "port": "square",
        "border": "diamond",
        "exports": "star",
        "production": "pentagon",
        "stage": "triangle",
    }
    labels = {
        "facility": "Facility",
        "port": "Port",
        "border": "Border",
        "exports": "All exports of a country",
        "production": "All production of a country",
        "stage": "A stage of a country",
    }
    colours = {
        "facility": style.PURPLE,
        "port": style.SKY,
        "border": style.BROWN,
        "exports": style.VERMILION,
        "production": style.ORANGE,
        "stage": style.BLUE,
    }
    costs, free = Is("lost_t", ">", 0.5), Some((Is("lost_t", "null"), Is("lost_t", "<=", 0.5)))
    rules = [Rule("Costs nothing alone", free, Mark("circle", style.PAPER, SOFT, 1.2, 0.2), from_scale=20_000_000)]
    rules += [
        Rule(labels[k], All((Is("kind", "=", k), costs)), Mark(shapes[k], colours[k], style.INK, 3.0, 0.2, grow))
        for k in shapes
    ]
    return Look(
        "chokepoints",
        "atlas chokepoints",
        "What costs most to lose: symbol by kind, size by tonnes lost",
        "point",
        (*rules, *_size_samples(grow)),
        (
            Words(All((Is("rank", "<=", 15.0), costs)), 200_000_000, "name", ("lost_t",)),
            Words(All((Is("rank", ">", 15.0), costs)), 15_000_000, "name", ("lost_t",), 7.0),
        ),
        order=("lost_t",),
        tip="name",
    )


def _chokepoint_lines() -> Look:
    return Look(
        "chokepoints",
        "atlas chokepoint passages",
        "Passages among what costs most to lose: width by tonnes lost",
        "line",
        (Rule("Passage", Is("kind", "=", "passage"), Stroke(style.HALT, 0.8, (), Grow(("lost_t",), 0.6, 9.0))),),
        (Words(All(), 120_000_000, "name", ("lost_t",), bold=True),),
        tip="name",
    )


def _backdrop() -> Look:
    places = {
        "halted": ("Country named in a halt", LAND_HALTED),
        "bloc": ("Country of the bloc", LAND_BLOC),
        "other": ("Other country", LAND),
    }
    rules = [Rule("Sea", Is("kind", "=", "sea"), Fill(SEA, LAND_EDGE, 0.2))]
    rules += [Rule(label, Is("place", "=", k), Fill(colour, LAND_EDGE, 0.12)) for k, (label, colour) in places.items()]
    return Look(
        "backdrop",
        "atlas backdrop",
        "Sea and countries",
        "polygon",
        tuple(rules),
        (Words(Is("kind", "=", "country"), 35_000_000, "name", size_pt=8.0, colour=SOFT, italic=True, least_mm=7.0),),
        tip="name",
    )
