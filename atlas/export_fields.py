"""What each column of an exported layer is: name, alias for people, unit, description, type.

Columns that come from a layer are described once, in `layers/schema.csv`; the columns of results are stated here. Every
writer of files, styles and the OGC collections read the same fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from atlas.errors import UnknownName, nearest
from atlas.schema import Column, Schema

EXPORTED = ("facilities", "ports", "passages", "network", "flows", "changes", "chokepoints")


@dataclass(frozen=True)
class Field:
    """One column of an exported layer.

    `alias` is what a person reads as its heading, `unit` is "" where the column is no quantity, `type` is one of
    `schema.TYPES` (a list is written as text joined by semicolons, whole numbers may be empty).
    """

    name: str
    alias: str
    unit: str
    description: str
    type: str

    @property
    def comment(self) -> str:
        """Return the description with the unit before it, for formats that have no place for a unit."""
        return f"[{self.unit}] {self.description}" if self.unit else self.description


def fields_of(layer: str, schema: Schema) -> dict[str, Field]:
    """Return the fields of an exported layer by column, `id` first, geometry left out.

    Columns that only a solved outcome has (`baseline_t`, `halted_t` ...) are among them. A layer that is not exported
    but stands in the schema (`sources`, `countries`) has the fields of its file. Raises UnknownName.
    """
    known = schema.layers
    if layer not in EXPORTED and layer not in known:
        raise UnknownName("layer", layer, nearest(layer, (*EXPORTED, *known)) or EXPORTED)
    own = schema.of(layer) if layer in known else {}
    made = {c.column: _of_column(c) for c in own.values() if c.type != "geometry"}
    if layer == "facilities" and "unit" in made:  # the results have a column of that name
        moved = replace(made.pop("unit"), name="capacity_unit", alias=ALIASES["capacity_unit"])
        made["capacity_unit"] = moved
    made |= {f.name: f for f in RESULTS.get(layer, ())}
    return made


def has_unit(field: Field) -> bool:
    """Return whether a field that holds a quantity says its unit; text, dates and yes or no need none."""
    return bool(field.unit) or field.type not in ("int", "float")


def _of_column(column: Column) -> Field:
    alias = ALIASES.get(column.column) or column.column.replace("_", " ").capitalize()
    return Field(column.column, alias, _full_unit(column.unit), column.description, column.type)


def _full_unit(unit: str) -> str:
    """Return a unit as people read it; amounts in dollars stand in capitals."""
    return unit.replace("usd", "USD")


# Headings where the name of the column, with blanks for underscores, would not read well.
ALIASES: Mapping[str, str] = {
    "id": "Id",
    "site": "Site",
    "product": "Product",
    "operator_ids": "Operators (ids)",
    "country": "Country",
    "lon": "Longitude",
    "lat": "Latitude",
    "coord_precision_km": "Place known within (km)",
    "start_year": "First year",
    "end_year": "Last year",
    "capacity_unit": "Basis of capacity and output",
    "capacity_t": "Capacity (t a year)",
    "output_t": "Output (t a year)",
    "output_year": "Year of the output",
    "usgs_output_t": "Output as the USGS counts (t a year)",
    "nd_share": "Nd share of the ore's REO",
    "pr_share": "Pr share of the ore's REO",
    "dy_share": "Dy share of the ore's REO",
    "tb_share": "Tb share of the ore's REO",
    "sm_share": "Sm share of the ore's REO",
    "grades": "Magnet grades",
    "feeds": "Delivers to (ids)",
    "feeds_text": "Delivers to (as published)",
    "modelled": "In the flow model",
    "model_note": "Note on the model",
    "reported": "As published",
    "source_id": "Source (id)",
    "mineral": "Ore",
    "accepts": "Can take",
    "never_by": "Never by",
    "handling_usd_t": "Handling (USD/t)",
    "dwell_days": "Wait in port (days)",
    "default_open": "Open as a rule",
    "toll_usd_t": "Toll (USD/t)",
    "delay_days": "Delay (days)",
    "transits_per_day": "Ships a day",
    "width_note": "Width",
    "iso3": "Country code",
    "url": "Address",
    "accessed": "Read on",
    "licence": "Terms",
}

_A_YEAR = "t/year"
_ID = Field("id", "Id", "", "stable id of the feature, the same in every halt", "str")
_BEFORE = Field("baseline_t", "Tonnes a year before", _A_YEAR, "tonnes a year without any halt", "float")
_AFTER = Field("halted_t", "Tonnes a year after", _A_YEAR, "tonnes a year under the halts", "float")
_CHANGE = Field("change_t", "Change (tonnes a year)", _A_YEAR, "halted_t less baseline_t", "float")
_THROUGH = (
    replace(_BEFORE, description="tonnes a year through it without any halt, all goods, each in its own unit"),
    replace(_AFTER, description="tonnes a year through it under the halts, all goods, each in its own unit"),
    _CHANGE,
)
_LANE = (
    Field("lane_id", "Lane", "", "id of the lane: from, to, commodity, element, grade; joins flows of both states and "
          "changes", "str"),
    Field("commodity", "Commodity", "", "concentrate (t of contained REO), oxide (t of oxide), metal (t of the "
          "element), magnet (finished) or scrap (contained REO)", "str"),
    Field("element", "Element", "", "Nd, Pr, Dy, Tb or Sm; empty for concentrate, scrap and magnets", "str"),
    Field("grade", "Magnet grade", "", "grade of a magnet, empty otherwise", "str"),
    Field("from_id", "From (id)", "", "facility the goods leave", "str"),
    Field("from_country", "From country", "", "country of that facility, ISO 3166-1 alpha-3", "str"),
    Field("to_id", "To (id)", "", "facility, market or buyer the goods reach; surplus, stock and loss close a balance "
          "and have no line", "str"),
    Field("to_country", "To country", "", "country of that place, ISO 3166-1 alpha-3", "str"),
)  # fmt: skip
_ROUTE_ID = Field("route_id", "Route (id)", "", "route along which the line is drawn; empty without a line", "str")
_GROUNDS = (
    Field("ends_confidence", "Worst confidence of both ends", "", "the worse of the confidences of the two ends' rows: "
          "A official or company filing, B trade press or derived, C estimate", "str"),
    Field("ends_source_ids", "Sources of both ends (ids)", "", "sources of the two ends' rows, in the table sources",
          "list"),
)  # fmt: skip

# Columns of results, by layer, in the order in which they are written after those of the layer's file.
RESULTS: Mapping[str, tuple[Field, ...]] = {
    "facilities": (
        replace(_BEFORE, description="made in a year without any halt, in the basis of unit; empty: not in the model"),
        replace(_AFTER, description="made in a year under the halts, in the basis of unit; empty: not in the model"),
        _CHANGE,
        Field("normal_t", "Normal output (t a year)", _A_YEAR, "what the unit makes in a normal year, in the basis of "
              "unit", "float"),
        Field("limit_t", "Limit under the halts (t a year)", _A_YEAR, "most that the unit can make under the halts, "
              "surge included, in the basis of unit", "float"),
        Field("unit", "Basis of the results", "", "tonne of baseline_t, halted_t, change_t, normal_t and limit_t",
              "str"),
    ),
    "ports": _THROUGH,
    "passages": _THROUGH,
    "network": (
        replace(_ID, description="stable id: mode and a hash of the ends and the length"),
        Field("mode", "Mode", "", "sea, rail, road or another mode of the edge", "str"),
        Field("length_km", "Length (km)", "km", "length along the line", "float"),
        Field("cost_usd_t", "Cost (USD/t)", "USD/t", "freight, tolls and border cost of a gross tonne", "float"),
        Field("days", "Days", "days", "time on the edge, waits included", "float"),
        Field("country", "Country", "", "country of the edge, empty at sea", "str"),
        Field("other_country", "Other country", "", "second country of an edge that crosses a border", "str"),
        Field("border", "Border", "", "border that the edge crosses", "str"),
        Field("passages", "Passages", "", "passages that the edge leads through", "list"),
        Field("one_way", "One way", "", "whether goods move only in the direction of the line", "bool"),
        Field("source_id", "Source (id)", "", "where the line comes from", "str"),
        replace(_BEFORE, description="tonnes a year on the edge without any halt, all goods, each in its own unit"),
        replace(_AFTER, description="tonnes a year on the edge under the halts, all goods, each in its own unit"),
        _CHANGE,
    ),
    "flows": (
        replace(_ID, description="stable id: lane, state and route"),
        _LANE[0],
        Field("state", "State", "", "baseline: without any halt; halted: under the halts", "str"),
        *_LANE[1:],
        Field("tonnes", "Tonnes a year", _A_YEAR, "tonnes a year by this route in this state", "float"),
        Field("distance_km", "Distance (km)", "km", "length of the route", "float"),
        Field("days", "Days", "days", "time on the way, waits included", "float"),
        Field("cost_usd_t", "Cost of the way (USD/t)", "USD/t", "freight, handling, tolls, border cost and the cost of "
              "time per tonne", "float"),
        Field("passages", "Passages", "", "passages on the way, in order", "list"),
        Field("ports", "Ports", "", "ports on the way, in order", "list"),
        Field("borders", "Borders", "", "borders on the way, in order", "list"),
        _ROUTE_ID,
        Field("tariff_usd_t", "Duty (USD/t)", "USD/t", "import duty per tonne", "float"),
        Field("via", "By way of", "", "country through which goods go round a ban, empty as a rule", "str"),
        *_GROUNDS,
    ),
    "changes": (
        replace(_ID, description="stable id: the lane's"),
        *_LANE,
        _BEFORE,
        _AFTER,
        _CHANGE,
        Field("kind", "Kind of change", "", "lost, reduced, kept, grown or new", "str"),
        _ROUTE_ID,
        Field("source", "Source", "", "of what is grown or new: ally where it comes from a country of the bloc, else "
              "other; empty otherwise", "str"),
        *_GROUNDS,
    ),
    "chokepoints": (
        replace(_ID, description="stable id: kind and what is lost; the same for every bloc and element"),
        Field("rank", "Rank", "place in the list", "1 is what costs the bloc most to lose", "int"),
        Field("kind", "Kind", "", "facility, port, passage, border, exports, production or stage", "str"),
        Field("name", "Name", "", "name for people", "str"),
        Field("country", "Country", "", "country of what is lost, where it has one", "str"),
        Field("stage", "Stage", "", "stage of what is lost, where it has one", "str"),
        Field("through_t", "Tonnes a year through it", _A_YEAR, "what it carries or makes without any halt; empty for "
              "all production of a country, whose stages do not add up", "float"),
        Field("lost_t", "Supply lost (t a year)", _A_YEAR, "supply that the bloc loses when this alone is lost",
              "float"),
        Field("lost_share", "Share of supply lost", "share (0 to 1)", "lost_t over what the bloc had", "float"),
        Field("short_t", "Magnets short (t a year)", _A_YEAR, "further demand of the bloc for magnets that is not met",
              "float"),
        Field("stepped_t", "Met by a lower grade (t a year)", _A_YEAR, "demand of the bloc that then takes the next "
              "lower grade", "float"),
        Field("world_short_t", "World's magnets short (t a year)", _A_YEAR, "further demand of the world that is not "
              "met", "float"),
        Field("extra_spend_usd", "Extra spending (USD a year)", "USD/year", "further freight, processing and duty of "
              "the bloc", "float"),
        Field("extra_days", "Extra days", "days", "further days on the way of a tonne delivered to the bloc", "float"),
        Field("objective_rise_usd", "Rise of the objective (USD a year)", "USD/year", "how much the cost of the "
              "optimum rises, penalties for shortage included", "float"),
        Field("replaced_by", "Replaced by", "", "who delivers more then, in words", "str"),
        Field("proved_nil", "Nothing moves through it", "", "yes: its loss costs nothing, without a solve", "bool"),
        Field("halts", "Halts", "", "the halts that take it away", "list"),
    ),
}  # fmt: skip
