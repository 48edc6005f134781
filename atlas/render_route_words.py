"""The words and figures of a route: sentence, legs, ways side by side, certificate. Rounded for people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from atlas.geo import parse_lonlat
from atlas.halt_words import country_name
from atlas.render_style import MODE_LABELS, mode_swatch

_TAKES_ARTICLE = re.compile(r"\b(Straits?|Canal|Cape|Route|Passage|Channel|Bosporus|Dardanelles|border|port)\b")
GOODS = {"concentrate": "concentrate", "oxide": "oxide", "metal": "metal", "magnet": "magnets"}
CHECKED = (  # what the certificate may say of a route by sea, how, and under which label
    ("over_land_km", "Sea lanes over land, outside canals, rivers and harbours", lambda v: km(v)),
    ("waterways", "Canals, rivers and harbours used", lambda v: ", ".join(v) or "none"),
    ("length_error_share", "Length of sea lanes told against the line drawn", lambda v: f"differs by {100 * v:.3f} %"),
    ("coastline", "Sea lanes compared with", lambda v: str(v)),
    ("unchecked_km", "From a point to the lanes, not compared", lambda v: km(v)),
)
WATERWAYS = {  # names of layers/network/waterways.geojson that title case does not make
    "maas": "Nieuwe Maas",
    "parana": "Río de la Plata and Paraná",
    "saint johns river": "St. Johns River",
    "scheldt": "Western Scheldt",
}
HARBOUR = "harbour "


@dataclass(frozen=True)
class LegRow:
    """One row of the table of legs."""

    swatch: Markup
    mode: str
    start: str
    end: str
    km: str
    days: str
    usd: str


@dataclass(frozen=True)
class Way:
    """A route told: its name, what sets it apart from the cheapest, totals, legs, certificate."""

    number: int
    title: str
    sentence: str
    passages: str
    km: str
    days: str
    usd: str
    legs: list[LegRow]
    certificate: list[tuple[str, str]]


@dataclass(frozen=True)
class RouteWords:
    """All text of a page about a route."""

    title: str
    sentence: str
    reachable: bool
    ways: list[Way] = field(default_factory=list)
    flight_note: str = ""
    fewer: str = ""


def route_words(
    routes: Sequence[Any], layers: Any, ends: tuple[str, str], *, commodity: str = "magnet",
    close: Sequence[str] = (), open: Sequence[str] = (), surcharge: Sequence[str] = (), wanted: int = 1,
) -> RouteWords:
    """Return the words of routes from one end to the other, cheapest first, as `Route.to_json` tells them.

    `surcharge` lists texts `PASSAGE=USD_T` that the routes pay.
    """
    told = [r.to_json() for r in routes]
    first = told[0]
    title = f"{place_name(ends[0], layers)} to {place_name(ends[1], layers)}"
    closed, opened = ([thing_name(i, layers) for i in ids] for ids in (close, open))
    if not first["reachable"]:
        sentence = f"There is {_named_reason(first['reason'], layers)}."
        told_already = all(name in sentence for name in closed)
        shut = "" if told_already else f" Closed: {listed(closed)}."
        return RouteWords(title, sentence + shut, False)
    ways = [_way(k, r, told, layers, commodity) for k, r in enumerate(told)]
    sentence = ways[0].sentence
    changed = [f"{listed([with_article(n) for n in names])} {how}" for names, how in
               ((closed, "closed"), (opened, "opened")) if names]  # fmt: skip
    changed += [surcharge_words(text, layers) for text in surcharge]
    if changed:
        sentence = f"With {listed(changed)}: {sentence[0].lower() + sentence[1:]}"
    flies = any(leg["mode"] == "air" for r in told for leg in r["legs"])
    fewer = ""
    if len(ways) < wanted:
        fewer = f"{wanted} ways were asked for; no other differs enough from {'this' if len(ways) == 1 else 'these'}."
    return RouteWords(title, sentence, True, ways, _flight_note(layers) if flies else "", fewer)


def place_name(text: str, layers: Any) -> str:
    """Return the name of a facility, site, port or market, or a point in degrees; the text itself where unknown."""
    for table in (layers.facilities, layers.ports, layers.markets):
        for name in (text, text.lower(), text.upper()):
            if name in table.index:
                return str(table.at[name, "name"])
    point = parse_lonlat(text) if "," in text else None
    if point is None:
        return text
    lon, lat = point
    return f"{abs(lat):g}° {'N' if lat >= 0 else 'S'}, {abs(lon):g}° {'E' if lon >= 0 else 'W'}"


def thing_name(text: str, layers: Any) -> str:
    """Return the name of a passage, port or border; the text itself where unknown."""
    if text.lower() in layers.passages.index:
        return str(layers.passages.at[text.lower(), "name"])
    if text.upper() in layers.ports.index:
        return f"port of {layers.ports.at[text.upper(), 'name']}"
    parts = text.upper().split("-")
    if len(parts) == 2 and all(p in layers.countries.index for p in parts):
        return "border " + " – ".join(country_name(p, layers) for p in sorted(parts))
    return text


def waterway_names(names: Sequence[str], ports: Sequence[str], layers: Any) -> list[str]:
    """Return the waterways of a certificate in words; of harbours only those of ports that are called at, last."""
    called = [i for i in ports if HARBOUR + i in names and i in layers.ports.index]
    found = [WATERWAYS.get(n, n.title()) for n in names if not n.startswith(HARBOUR)]
    return found + [f"harbour of {layers.ports.at[i, 'name']}" for i in called]


def surcharge_words(text: str, layers: Any) -> str:
    """Return a surcharge `PASSAGE=USD_T` as it stands in a sentence."""
    passage, _, usd_t = text.partition("=")
    return f"a surcharge of {usd_t.strip()} USD per gross tonne on {with_article(thing_name(passage.strip(), layers))}"


def with_article(name: str) -> str:
    """Return a name as it stands in a sentence: the Suez Canal, the border X – Y, Bab el-Mandeb."""
    return f"the {name}" if _TAKES_ARTICLE.search(name) else name


def _named_reason(reason: str, layers: Any) -> str:
    """Return why there is no path with names in place of ids."""
    def name(match: re.Match[str]) -> str:
        text = match.group()
        if text in layers.passages.index:
            return with_article(thing_name(text, layers))
        known = any(text in table.index for table in (layers.facilities, layers.ports, layers.markets))
        border = re.fullmatch(r"[A-Z]{3}-[A-Z]{3}", text)
        return place_name(text, layers) if known else with_article(thing_name(text, layers)) if border else text

    told = re.sub(r"[A-Za-z0-9-]+", name, reason)
    what, _, shut = told.removesuffix(" closed").rpartition(": ")
    if what and told.endswith(" closed"):
        things = shut.split(", ")
        return f"{what} while {listed(things)} {'is' if len(things) == 1 else 'are'} closed"
    return told


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def km(value: float) -> str:
    """Return kilometres for people."""
    return f"{value:,.0f} km" if abs(value) >= 100 or value == 0 else f"{value:,.1f} km"


def _usd(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"


def _more(value: float, text: str) -> str:
    """Return a difference with its sign; a dash for next to none."""
    return "–" if not any(c in "123456789" for c in text) else ("+" if value > 0 else "−") + text


def _way(k: int, route: dict[str, Any], told: Sequence[dict[str, Any]], layers: Any, commodity: str) -> Way:
    legs, first = route["legs"], told[0]
    passages = [thing_name(p, layers) for p in route["passages"]]
    modes = list(dict.fromkeys(MODE_LABELS[leg["mode"]].lower() for leg in legs if leg["mode"] != "port"))
    through = f"through {listed([with_article(p) for p in passages])}" if passages else ""
    if not passages and "sea" in modes:
        through = "through no named strait or canal"
    price = f"{_usd(route['cost_usd_t'])} USD per tonne of {GOODS[commodity]}"
    parts = [f"{km(route['distance_km'])}, {route['days']:.1f} days and {price}"]
    parts += [f"by {listed(modes)}" if modes else "", through]
    sentence = ", ".join(p for p in parts if p) + "."
    if not legs:
        sentence = "Both ends are the same place: nothing to travel."
    figures = [km(route["distance_km"]), f"{route['days']:.1f}", _usd(route["cost_usd_t"])]
    if k:
        keys = ("distance_km", "days", "cost_usd_t")
        more = [route[key] - first[key] for key in keys]
        texts = (f"{abs(more[0]):,.0f} km", f"{abs(more[1]):.1f}", _usd(abs(more[2])))
        figures = [_more(m, t) for m, t in zip(more, texts, strict=True)]
    return Way(
        number=k + 1,
        title=f"Way {k + 1}, the cheapest" if k == 0 and len(told) > 1 else f"Way {k + 1}",
        sentence=sentence,
        passages=", ".join(passages) or ("none" if legs else ""),
        km=figures[0],
        days=figures[1],
        usd=figures[2],
        legs=[_leg(leg, layers) for leg in legs],
        certificate=_certificate(route, layers),
    )


def _leg(leg: dict[str, Any], layers: Any) -> LegRow:
    handling = leg["mode"] == "port"
    start, end = (place_name(leg[side], layers) for side in ("from", "to"))
    return LegRow(
        swatch=Markup("") if handling else mode_swatch(leg["mode"]),
        mode="Port" if handling else MODE_LABELS.get(leg["mode"], leg["mode"]),
        start=f"{start}: handling and waiting" if handling else start,
        end="" if handling else end,
        km="–" if handling else km(leg["distance_km"]).removesuffix(" km"),
        days=f"{leg['days']:.1f}",
        usd=_usd(leg["cost_usd_t"]),
    )


def _certificate(route: dict[str, Any], layers: Any) -> list[tuple[str, str]]:
    """Return what was checked of a route, as label and value."""
    snaps = [f"{s:.1f} km" if s else "0 km" for s in route["snap_km"]]
    rows = [("Way to the network", f"{snaps[0]} at the start, {snaps[1]} at the end")]
    checked = dict(route.get("certificate") or {})
    if checked.get("sea_km") is not None:
        rows.append(("Sea lanes", km(checked["sea_km"])))
    if checked.get("sea_km"):  # the rest is about them alone
        checked["unchecked_km"] = checked.get("unchecked_km") or None
        checked["waterways"] = waterway_names(checked.get("waterways") or (), route["ports"], layers)
        rows += [(label, say(checked[key])) for key, label, say in CHECKED if checked.get(key) is not None]
    rows.append(("Countries", listed([country_name(c, layers) for c in route["countries"]]) or "none"))
    borders = [" – ".join(country_name(c, layers) for c in b.split("-")) for b in route["borders"]]
    rows.append(("Land borders crossed", ", ".join(borders) or "none"))
    return rows


def _flight_note(layers: Any) -> str:
    """Return what a flight asks of magnets, from the rows of the layer of transport."""
    values: dict[str, float] = layers.table("transport")["value"].to_dict() if hasattr(layers, "table") else {}
    upper, lower = (values.get(f"raw-air-magnet-package-{name}") for name in
                    ("forbidden-above-this-field-at-4-6-m", "unregulated-below-this-field-at-2-1-m"))  # fmt: skip
    if upper is None or lower is None:
        return ""
    uplift = values.get("air_magnet_uplift_share")
    paid = f" Air freight of magnets is counted {100 * uplift:.0f} % dearer for it." if uplift else ""
    return (
        f"Flights and magnets: IATA packing instruction 953 forbids a package whose field is above {upper:g} gauss at "
        f"4.6 m; below {lower:g} gauss at 2.1 m it is not regulated. Between the two it travels as declared dangerous "
        f"goods, shielded with steel, and some airports refuse it.{paid}"
    )
