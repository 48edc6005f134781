"""What a halt names, as ids of places: to mark them on a map, in a file or in a list."""

import re
from typing import Any


def halted_things(outcome: Any) -> dict[str, list[str]]:
    """Return what the halts name, by kind: ids of countries, facilities, ports, passages, borders."""
    found: dict[str, set[str]] = {k: set() for k in ("country", "facility", "port", "passage", "border")}
    table = outcome.layers.facilities
    for spec in outcome.summary["scenario"]["halts"]:
        kind, _, rest = str(spec).partition(":")
        target = re.split(r"[:@>]", rest, maxsplit=1)[0]
        plain = target.split("/", 1)[0]
        if kind in found:
            found[kind].add(plain)
        elif kind == "site":
            found["facility"].update(table.index[table["site"] == plain])
        elif kind == "operator":
            found["facility"].update(i for i, ids in table["operator_ids"].items() if plain in ids)
        elif kind == "stage":
            stage = target.split("/")[1] if "/" in target else ""
            found["facility"].update(table.index[(table["country"] == plain) & (table["stage"] == stage)])
    return {k: sorted(v) for k, v in found.items()}
