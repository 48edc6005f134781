"""Halts in words, for sentences, titles and lists."""

import re

from atlas.layers import Layers

_GOODS = {"concentrate": "concentrate", "oxide": "oxide", "metal": "metal", "magnet": "magnets", "scrap": "scrap"}
_STAGES = {
    "mine": "mining", "separation": "separation", "metal": "metal making", "magnet": "magnet making",
    "recycling": "recycling",
}  # fmt: skip
_TABLES = {"facility": "facilities", "port": "ports", "passage": "passages", "operator": "operators"}


def describe(spec: str, layers: Layers) -> str:
    """Return a canonical halt in words: `country:CHN@0.5/magnet` as "50 % of exports of China (magnets)"."""
    match = re.match(r"([a-z]+):([^@]*?)(?:@([0-9.eE+-]+))?(?:/([^@]*))?\Z", spec.replace(">", ":"))
    if not match:
        return spec
    kind, target, share, chosen = match.groups()
    part = "" if share is None else f"{100 * float(share):.3g} % of "
    only = ""
    if chosen and kind != "stage":
        only = " (" + ", ".join(_GOODS.get(c, c) for c in chosen.split(",")) + ")"
    if kind == "country":
        first, _, to = target.partition(":")
        where = f" to {country_name(to, layers)}" if to else ""
        return f"{part}exports of {country_name(first, layers)}{where}{only}"
    if kind == "stage":
        country, _, stage = target.partition("/")
        stage = stage or (chosen or "")
        return f"{part}{_STAGES.get(stage, stage)} in {country_name(country, layers)}"
    if kind == "border":
        return f"{part}border {' – '.join(country_name(c, layers) for c in target.split('-'))}{only}"
    table = getattr(layers, _TABLES[kind], None) if kind in _TABLES else None
    if table is not None and target in table.index:
        target = str(table.at[target, "name"])
    word = {"port": "port of ", "operator": "all units of ", "site": "site "}.get(kind, "")
    return f"{part}{word}{target}{only}"


def country_name(iso3: str, layers: Layers) -> str:
    """Return a country's name, its code where it has none."""
    return str(layers.countries["name"].get(iso3, iso3))
