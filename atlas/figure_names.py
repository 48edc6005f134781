"""Which places of a print map get a name: what is halted, what carries the story, countries that run short, straits."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import shapely

from atlas import figure_fonts
from atlas.answer_words import buyer_lines
from atlas.figure_flows import SMALL_T
from atlas.figure_frame import Frame
from atlas.figure_ink import INK, SOFT, Ink
from atlas.figure_labels import Name
from atlas.figure_places import Spot
from atlas.figure_words import amount, moves
from atlas.halt_words import country_name
from atlas.render_style import STAGES

Where = Callable[[Any], tuple[float, float]]  # degrees -> points of the axes
FACILITIES_MOST, COUNTRIES_MOST, PASSAGES_MOST = 14, 9, 11
STORY_LEAST = 0.035  # of a stage's change (or output) that a facility makes, to be named
CHANGE_LEAST = 0.15  # of a stage's output: what its plants' changes are at least held against
PASSAGE_LEAST_T = 150.0
MAIN_COUNTRIES = ("CHN", "USA", "AUS", "BRA", "IND", "RUS", "JPN", "CAN")
FIRST = 100.0  # weight of what is halted: named before all else
BEARINGS_MOST = 30  # countries with plants, named for bearings on a map of a part of the world
SIZES = {"halted": 7.2, "country": 6.9, "facility": 6.1, "passage": 6.1, "quiet": 6.4}


def facilities(
    table: pd.DataFrame, spots: Sequence[Spot], where: Where, view: str, look: Ink, local: bool
) -> list[Name]:
    """Return names of the facilities that make most of their stage's change, or of its output.

    A map of a part of the world (`local`) compares those it shows, others all. A stage in which hardly anything
    changes names none.
    """
    radius = {s.id: s.radius for s in spots}
    seen = table[table.index.isin(list(radius))] if local else table
    stages = seen["stage"]
    told = (seen["halted_t"] - seen["baseline_t"]).abs() if view == "change" else seen["tonnes"]
    floor = CHANGE_LEAST * seen["tonnes"].groupby(stages).transform("sum")
    share = told / np.maximum(told.groupby(stages).transform("sum"), np.maximum(floor, 1.0))
    share = share[(share >= STORY_LEAST) & share.index.isin(list(radius))]
    chosen = share.sort_values(ascending=False, kind="stable").index[:FACILITIES_MOST]
    names = []
    for fid in chosen:
        row = table.loc[fid]
        figure = moves(row["baseline_t"], row["halted_t"], view)
        text = f"{short_name(str(row['name']))}\n{figure}"
        weight = 40.0 + 30.0 * float(share[fid]) + 2.0 * (len(STAGES) - STAGES.index(row["stage"]))
        names.append(
            Name(text, where((row["lon"], row["lat"])), weight, radius[fid], look.pt(SIZES["facility"]), key=str(fid))
        )
    return names


def short_name(name: str) -> str:
    """Return a facility's name without what stands in brackets at its end, broken where it is long."""
    plain = name.split(" (")[0].strip() or name
    if len(plain) <= 24 or " " not in plain:
        return plain
    middle = len(plain) / 2
    cut = min((i for i, c in enumerate(plain) if c == " "), key=lambda i: abs(i - middle))
    return f"{plain[:cut]}\n{plain[cut + 1 :]}"


def passages(table: pd.DataFrame, spots: Sequence[Spot], where: Where, view: str, look: Ink) -> list[Name]:
    """Return names of the busiest passages with their throughput; closed ones come first."""
    inside = table[table.index.isin([s.id for s in spots])]
    most = inside[["baseline_t", "halted_t"]].max(axis=1)
    inside = inside.assign(most=most, change=(inside["halted_t"] - inside["baseline_t"]).abs())
    inside = inside[(inside["most"] >= PASSAGE_LEAST_T) & (~inside["closed"] | (view == "before"))]
    by = "change" if view == "change" and inside["change"].max() > 1 else "most"
    inside = inside.sort_values([by, "most"], ascending=False, kind="stable").iloc[:PASSAGES_MOST]
    return [
        Name(f"{row['name']}\n{moves(row['baseline_t'], row['halted_t'], view)}", where((row["lon"], row["lat"])),
             30.0 + 8.0 * float(row["most"]) / max(float(most.max()), 1.0), look.pt(3.0),
             look.pt(SIZES["passage"]), italic=True, colour=SOFT, key=str(pid))
        for pid, row in inside.iterrows()
    ]  # fmt: skip


def halted(
    outcome: Any, spots: Sequence[Spot], where: Where, view: str, look: Ink, through: pd.DataFrame
) -> list[Name]:
    """Return names of halted facilities, ports, passages and borders, in the colour of their sign."""
    layers, names = outcome.layers, []
    for spot in spots:
        figure = ""
        if spot.kind == "passage" and spot.id in through.index:
            row = through.loc[spot.id]
            figure = moves(row["baseline_t"], row["halted_t"], view)
            text = str(row["name"])
        elif spot.kind == "border":
            text = "–".join(country_name(c, layers) for c in spot.id.split("-")) + " border"
        else:
            table = layers.facilities if spot.kind == "facility" else layers.ports
            text = short_name(str(table.at[spot.id, "name"]))
            if spot.kind == "facility" and spot.id in outcome.facilities.index:
                row = outcome.facilities.loc[spot.id]
                figure = moves(float(row["baseline_t"]), float(row["halted_t"]), view)
        names.append(Name(f"{text}\n{figure}" if figure else text, where(spot.at), FIRST, spot.radius,
                          look.pt(SIZES["halted"]), bold=True, colour=look.stop, key=spot.id))  # fmt: skip
    return names


def buyers(outcome: Any, spots: Sequence[Spot], where: Where, view: str, look: Ink) -> list[Name]:
    """Return names of a scenario's buyers with what they get of what they want."""
    lines = {b.id: b for b in buyer_lines(outcome.summary)}
    names = []
    for spot in spots:
        line = lines[spot.id]
        got = line.before_t if view == "before" else line.after_t
        said = f"{spot.id}\n{amount(got)} of {amount(line.wanted_t)} t"
        names.append(
            Name(said, where(spot.at), FIRST - 5.0, spot.radius, look.pt(SIZES["halted"]), bold=True, key=spot.id)
        )
    return names


def countries(
    outcome: Any, frame: Frame, hidden: Frame | None, where: Where, view: str, look: Ink, stopped: Sequence[str]
) -> list[Name]:
    """Return names of halted countries, of those with the largest shortage, and of a few more for bearings.

    What an inset (`hidden`) holds is named there.
    """
    outlines = outcome.layers.countries.geometry
    short = outcome.summary["baseline" if view == "before" else "halted"]["shortage_by_country"]
    worst = sorted((c for c in short if short[c] > SMALL_T), key=lambda c: (-short[c], c))
    bearings = [*MAIN_COUNTRIES, *(() if frame.is_world else _busiest(outcome))]
    asked = dict.fromkeys([*stopped, *worst, *bearings])
    middles = {c: middle(outlines[c]) for c in asked if c in outlines.index}
    middles = {c: at for c, at in middles.items() if bool(frame.holds([at])[0])
               and not (hidden is not None and bool(hidden.holds([at])[0]))}  # fmt: skip
    worst = [c for c in worst if c in middles][:COUNTRIES_MOST]
    names = []
    for code, at in middles.items():
        if code not in {*stopped, *worst, *bearings}:
            continue
        text, said = country_name(code, outcome.layers), f"\n{amount(short[code])} t short" if code in worst else ""
        quiet = code not in stopped and code not in worst
        names.append(Name(
            text + said, where(at), 90.0 if code in stopped else 12.0 if quiet else 60.0 + short[code] / 1e5,
            0.0, look.pt(SIZES["quiet" if quiet else "country"]), bold=not quiet, centred=True,
            colour=look.stop if code in stopped else SOFT if quiet else INK, key=code,
        ))  # fmt: skip
    return names


def unprintable(outcome: Any, title: str) -> list[str]:
    """Return a line for every name that a map may show and no shipped font can write: its id and the characters."""
    layers, used = outcome.layers, outcome.facilities.index
    names = {str(i): str(n) for i, n in layers.facilities["name"].items() if i in used}
    for table in (layers.passages, layers.ports, layers.countries):
        names |= {str(i): str(n) for i, n in table["name"].items()}
    scenario = outcome.summary["scenario"]
    names |= {str(r["id"]): str(r.get("name") or r["id"]) for r in scenario.get("facilities", ()) if "id" in r}
    names |= {"title": title, "scenario": str(scenario["name"])}
    return figure_fonts.problems(names)


def _busiest(outcome: Any) -> list[str]:
    """Return countries by the output of their facilities, the largest first."""
    made = outcome.facilities[["baseline_t", "halted_t"]].max(axis=1)
    by = made.groupby(outcome.layers.facilities["country"].reindex(made.index)).sum().sort_values(ascending=False)
    return [str(c) for c in by.index[:BEARINGS_MOST]]


def middle(outline: Any) -> tuple[float, float]:
    """Return a point well inside the largest part of a country."""
    largest = max(shapely.get_parts(outline), key=shapely.area)
    centre = largest.centroid
    point = centre if largest.contains(centre) else largest.representative_point()
    return float(point.x), float(point.y)
