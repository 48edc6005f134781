"""Makes docs/gis-fields.md from the fields of all exported layers: `python tests/gis_fields.py`."""

from pathlib import Path

from atlas import layers
from atlas.export_fields import EXPORTED, fields_of
from atlas.export_stretches import FIELDS
from atlas.export_stretches import TITLES as DRAWN
from atlas.export_tables import TITLES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "gis-fields.md"
HEAD = """# Columns of the exported layers

Made from the code by `python tests/gis_fields.py`; a test compares them. [gis.md](gis.md) says how to open the layers.
"""


def page() -> str:
    """Return the page as text."""
    schema = layers.open_layers(None).schema
    known = {name: list(fields_of(name, schema).values()) for name in EXPORTED}
    known |= {name: list(fields) for name, fields in FIELDS.items()}
    titles = {**TITLES, **DRAWN, "chokepoints": "What costs a bloc most to lose, one row for each thing lost alone"}
    parts = [HEAD]
    for name, fields in known.items():
        rows = [f"| `{f.name}` | {f.alias} | {f.unit} | {f.type} | {cell(f.description)} |" for f in fields]
        table = "\n".join(["| column | heading | unit | type | meaning |", "| --- | --- | --- | --- | --- |", *rows])
        parts.append(f"\n## {name}\n\n{titles[name]}.\n\n{table}\n")
    return "".join(parts)


def cell(text: str) -> str:
    """Return text that may stand in a cell."""
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
