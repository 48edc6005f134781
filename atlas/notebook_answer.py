"""An answer as scripts and notebooks use it: tables with geometry, maps, figures, files.

It holds an `outcome.Outcome` and changes nothing of it. Tables are copies: what is done to them stays with the asker.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd

from atlas import export, notebook_tables, render
from atlas.compare import Case, compare
from atlas.compare_words import case_label
from atlas.errors import BadInput, UnknownName, nearest
from atlas.export_files import check_target_file, write_file
from atlas.notebook_html import answer_html
from atlas.notebook_map import Map
from atlas.notebook_routes import Origins
from atlas.outcome import Outcome
from atlas.trace import trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """What a halt or a scenario does, both states side by side; `study.run` returns it.

    >>> answer = study.run(halts=["passage:malacca"])
    >>> answer
    <atlas answer passage:malacca: ... t short, ... % of the demand of us-allies met>
    >>> float(answer.throughput.set_index("id").loc["malacca", "halted_t"])
    0.0

    Tables have a row for each thing and tonnes a year as `baseline_t`, `halted_t` and `change_t`. `outcome` is what the
    rest of the library works on.
    """

    outcome: Outcome
    _shapes: dict[str, Any] = field(default_factory=dict)  # of routes, shared by the tables

    @property
    def name(self) -> str:
        """The name of the scenario, the halts where it has none, or `baseline`."""
        scenario = self.outcome.scenario
        if scenario.name not in ("halts", "scenario", ""):
            return str(scenario.name)
        return "; ".join(scenario.specs) or ("baseline" if self.outcome.is_baseline else "scenario")

    @property
    def bloc(self) -> str:
        """The bloc whose supply is told."""
        return self.outcome.bloc

    @property
    def summary(self) -> dict[str, Any]:
        """All figures, as `atlas solve --json` prints them (a copy).

        >>> study.run(halts=["passage:malacca"]).summary["halted"]["throughput_t"]["passage"].get("malacca", 0.0)
        0.0
        """
        return copy.deepcopy(self.outcome.summary)

    @property
    def sentence(self) -> str:
        """The answer in one sentence with figures."""
        return self.outcome.sentence

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of how the answer was made."""
        return self.outcome.notes

    @property
    def key_figures(self) -> pd.DataFrame:
        """The figures that tell the answer at a glance, by measure: unit, baseline, halted, change."""
        return notebook_tables.key_figures(self.outcome)

    @cached_property
    def _tables(self) -> dict[str, gpd.GeoDataFrame]:
        return {}

    def _layer(self, name: str) -> gpd.GeoDataFrame:
        if name not in self._tables:
            self._tables[name] = export.layer_table(self.outcome, name, self._shapes)
        return self._tables[name].copy()

    @property
    def flows(self) -> gpd.GeoDataFrame:
        """Every flow of both states along its route, with the columns of `flows.csv` and `geometry` (EPSG:4326).

        Indexed by a stable id; `lane_id` is the index of `changes`. Routes are cut at the antimeridian.

        >>> flows = study.run(halts=["passage:malacca"]).flows
        >>> crossing = flows[flows["passages"].str.contains("malacca")]
        >>> list(crossing["state"].unique())
        ['baseline']
        """
        return self._layer("flows")

    @property
    def changes(self) -> gpd.GeoDataFrame:
        """A row for each lane: baseline_t, halted_t, change_t, kind (lost, reduced, kept, grown, new), geometry."""
        return self._layer("changes")

    @property
    def facilities(self) -> gpd.GeoDataFrame:
        """The facilities with baseline_t, halted_t, normal_t, limit_t and unit; NaN for those not in the model."""
        return self._layer("facilities")

    @property
    def ports(self) -> gpd.GeoDataFrame:
        """The ports with the tonnes through each: baseline_t, halted_t, change_t."""
        return self._layer("ports")

    @property
    def passages(self) -> gpd.GeoDataFrame:
        """The passages' gate lines with the tonnes through each: baseline_t, halted_t, change_t."""
        return self._layer("passages")

    @property
    def shortage(self) -> pd.DataFrame:
        """What is not met by country, sector and grade, beside the demand; group and sum it as you like.

        >>> short = study.run(halts=["passage:malacca"]).shortage
        >>> by_country = short.groupby("country")[["halted_demand_t", "halted_t"]].sum()
        >>> bool((by_country["halted_t"] <= by_country["halted_demand_t"]).all())
        True
        """
        return notebook_tables.shortage(self.outcome)

    @property
    def imports(self) -> pd.DataFrame:
        """What countries take from each other: importer, commodity, element, exporter, tonnes of both states."""
        return notebook_tables.imports(self.outcome)

    @property
    def output(self) -> pd.DataFrame:
        """What each country makes at each stage, in the stage's unit: stage, country, tonnes of both states."""
        return notebook_tables.output(self.outcome)

    @property
    def throughput(self) -> pd.DataFrame:
        """What passes each passage, port and border that carries any: kind, id, name, tonnes of both states."""
        return notebook_tables.through(self.outcome)

    @property
    def replaced(self) -> pd.DataFrame:
        """Who stands in for whom: importer, commodity, from_country (lost), to_country (found), tonnes."""
        return notebook_tables.replaced(self.outcome)

    @property
    def prices(self) -> pd.DataFrame:
        """What one more tonne would save at each place (the price of scarcity): USD a tonne in both states, `holds`."""
        return notebook_tables.prices(self.outcome)

    def map(
        self, view: str = "change", *, title: str | None = None, focus: str | Sequence[float] | None = None
    ) -> Map:
        """Return the interactive map, a Folium map that shows itself in Jupyter.

        `view` is what it opens on: change, before, after, swipe or side. `focus` is a bloc, a country or a box (west,
        south, east, north in degrees). Raises BadInput for an unknown view or focus.

        >>> study.run(halts=["passage:malacca"]).map()
        <atlas map: passage:malacca>
        """
        if view not in render.MAP_VIEWS:
            raise UnknownName("view", view, nearest(view, render.MAP_VIEWS) or render.MAP_VIEWS)
        if focus is not None:
            render.focus_box(focus, self.outcome)
        draw = partial(render.page, self.outcome, view=view, title=title, focus=focus)
        return Map(lambda added: draw(added=added), title or self.name)

    def figure(
        self,
        view: str = "change",
        *,
        title: str | None = None,
        focus: str | Sequence[float] | None = None,
        projection: str = "auto",
        grey: bool = False,
        size_in: tuple[float, float] | None = None,
        commodity: str | Sequence[str] | None = None,
        colour: str = "commodity",
    ) -> "Figure":
        """Return the map for print as a Matplotlib figure that shows itself in Jupyter; save it with `savefig`.

        `view` is change, before, after or all (three panels); `focus` a bloc, a country or a box (west, south, east,
        north in degrees); `grey` for printers without colour; `size_in` (width, height) in inches, A4 if left out;
        `commodity` leaves out the others; `colour` of flows before and after is by commodity or source. The figure
        stands apart from pyplot: nothing is kept open. Raises BadInput with every word that is not known.
        """
        from atlas import figure_map, notebook_figure  # Matplotlib takes a second to load

        made = figure_map.draw(
            self.outcome, view=view, title=title, focus=focus, projection=projection, grey=grey, size_in=size_in,
            commodity=commodity, colour=colour,
        )  # fmt: skip
        return notebook_figure.map_figure(made)

    def compare(self, *others: "Answer") -> pd.DataFrame:
        """Return this answer and one to three others side by side, by group and key.

        Columns: unit, baseline, one for each answer (by its name), and `difference` of the last from the first.
        Raises BadInput for none, more, or the same answer twice.
        """
        answers = (self, *others)
        cases = [
            Case(
                a.name, case_label(a.outcome.scenario.specs, a.outcome.layers), a.outcome.summary,
                a.outcome.bloc_countries, a.outcome.is_baseline,
            )
            for a in answers
        ]  # fmt: skip
        problems = [
            f"{a.name}: its {word} is {theirs}, that of {self.name} is {ours}; a comparison needs the same"
            for a in others
            for word, theirs, ours in (("bloc", a.bloc, self.bloc), ("year", a.outcome.year, self.outcome.year))
            if theirs != ours
        ]
        if problems:
            raise BadInput(problems)
        table = compare(cases).table().drop(columns="better").set_index(["group", "key"])
        table["difference"] = table.iloc[:, -1] - table.iloc[:, 2]
        return table

    def trace(
        self,
        place: str,
        *,
        element: str = "all",
        direction: str | None = None,
        origin: str = "",
        threshold: float | None = None,
    ) -> Origins:
        """Return whose material is in a place, or where a mine's goes, in the halted state.

        `place` is a facility, a site, a country (its demand) or a market; `element` an element, `NdPr` or `all`;
        `direction` up, down or both (up if left out, down for a mine); `origin` a country, bloc, facility or `recycled`
        to test for; `threshold` a share to test against. Raises UnknownName and BadInput for what is unknown, NoAnswer
        where the place holds nothing of the element.
        """
        return Origins(trace(self.outcome, place, element, direction, origin, threshold))

    def write(self, path: str | Path, *, layer: str | None = None, force: bool = False) -> Path:
        """Write the answer whole or not at all, and return the path.

        A name without an ending is a folder of results as `atlas solve --out` writes it (`force` replaces an earlier
        one); .html the map; .png, .svg and .pdf the map for print; .json the summary; .gpkg all layers; any other
        format of `atlas export` one layer, named by `layer` or by the file: `answer.write("flows.geojson")`. Raises
        BadInput for a name that cannot be, WriteFailure where it cannot be written.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if not suffix:
            export.write_outcome(self.outcome, target, force, page=lambda: render.page(self.outcome))
        elif suffix == ".html":
            self.map().save(target)
        elif suffix == ".json":
            text = json.dumps(self.outcome.summary, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
            write_file(check_target_file(target, (".json",)), lambda fresh: _write(fresh, text))
        elif suffix in PICTURES:
            from atlas import figure_save

            check_target_file(target, PICTURES)
            figure_save.save(self.figure(), target)
        else:
            export.write_layer(self.outcome, layer or _layer_named(target), target)
        return target

    def __repr__(self) -> str:
        after = self.summary["baseline" if self.outcome.is_baseline else "halted"]
        return (
            f"<atlas answer {self.name}: {after['shortage_t']:,.0f} t short, "
            f"{after['bloc_supplied_share'] * 100:.0f} % of the demand of {self.bloc} met>"
        )

    def _repr_html_(self) -> str:
        return answer_html(self.sentence, self.key_figures, self.bloc, self.outcome.is_baseline, self.notes)


def _layer_named(path: Path) -> str:
    """Return the layer a file is named after; all of them for a GeoPackage of another name."""
    known = ("facilities", "ports", "passages", "network", "flows", "changes", "all")
    if path.stem in known:
        return path.stem
    if path.suffix.lower() == ".gpkg":
        return "all"
    raise BadInput(f"{path.name!r}: say which layer, such as layer='flows'; known: {', '.join(known)}")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
