"""The atlas from Python and notebooks: `atlas.open()` returns a `Study`, `study.run(...)` an `Answer`.

    import atlas

    study = atlas.open()
    answer = study.run(halts=["passage:malacca"])
    answer.map()                    # a Folium map, shown by Jupyter
    answer.flows                    # a GeoDataFrame
"""

import dataclasses
import datetime as dt
import html
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, overload

import geopandas as gpd
import pandas as pd

from atlas import export, export_chokepoints, progress_bar, study
from atlas.config import Settings, data_dir
from atlas.errors import BadInput, UnknownName, nearest
from atlas.losses import lens
from atlas.notebook_answer import Answer
from atlas.notebook_html import table
from atlas.notebook_routes import Journey, Journeys, Origins, journey
from atlas.scenario import Scenario
from atlas.singles import singles
from atlas.world import CALIBRATED_YEAR

Question = Scenario | Mapping[str, Any] | str | Path | None
Place = str | tuple[float, float]
Texts = str | Iterable[str]


class Study(study.Study):
    """Layers and a year, ready for questions; `atlas.open` returns it. Safe to share between threads.

    >>> study
    <atlas study of 2024: ... facilities, ... ports, ... passages>
    >>> study.run(scenario="malacca-closes").name == study.scenarios.loc["malacca-closes", "name"]
    True
    """

    @classmethod
    def of(cls, opened: study.Study) -> "Study":
        """Return a study of the core as one for notebooks; both share what is found out and remembered."""
        made = cls.__new__(cls)
        made.__dict__.update(opened.__dict__)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        make, given = super().__reduce__()
        return _made_anew, (make, given)

    def run(
        self,
        halts: Texts = (),
        scenario: Question = None,
        *,
        bloc: str = "us-allies",
        on: dt.date | str | None = None,
        open: Texts = (),
    ) -> Answer:
        """Answer halts, a scenario, or both: the world as it is and as they leave it.

        `halts` are specs such as `passage:malacca` or `country:CHN/magnet`; `scenario` is the name of a shipped one, a
        TOML file, or a dict of the same fields; `bloc` whose supply is told; `on` the day whose dated rows hold; `open`
        passages that are shut unless opened. Neither halts nor scenario: the baseline. A new answer takes about a
        second, one asked again none. Raises BadInput with every problem of the question, SolverFailure where no optimum
        is proved.

        >>> study.run(halts="passage:malaca")
        Traceback (most recent call last):
        ...
        atlas.errors.BadInput: halt `passage:malaca`: unknown passage 'malaca'; nearest: malacca
        """
        problems: list[str] = []
        day = _day(on, problems)
        try:
            asked = self.question(_texts(halts, "halts", problems), self._known(scenario), day)
        except BadInput as error:
            problems += error.problems
        passages = _texts(open, "open", problems)
        opened: frozenset[str] = frozenset()
        try:
            if passages:
                opened = self.question((), {"name": "open", "open": list(passages)}).opened
        except BadInput as error:
            problems += error.problems
        if bloc not in self.blocs:
            problems += UnknownName("bloc", bloc, nearest(bloc, self.blocs) or sorted(self.blocs)).problems
        if problems:
            raise BadInput(dict.fromkeys(problems))
        if opened:
            asked = dataclasses.replace(asked, opened=asked.opened | opened)
        return Answer(self.solve(scenario=asked, bloc=bloc))

    def _known(self, scenario: Question) -> Question:
        """Return the scenario; a word that is neither a shipped one nor a file is refused with the nearest names."""
        if isinstance(scenario, str) and scenario not in self.layers.scenarios and not Path(scenario).is_file():
            known = sorted(self.layers.scenarios)
            raise UnknownName("scenario", scenario, nearest(scenario, known) or known)
        return scenario

    @property
    def facilities(self) -> gpd.GeoDataFrame:
        """All mines, plants and magnet makers, by id: status, dates, capacity, output, source, geometry (a copy).

        >>> study.facilities.loc["lynas-kuantan", "stage"]
        'separation'
        """
        return export.layer_table(self.layers, "facilities")

    @property
    def ports(self) -> gpd.GeoDataFrame:
        """All ports, by UN/LOCODE (a copy)."""
        return export.layer_table(self.layers, "ports")

    @property
    def passages(self) -> gpd.GeoDataFrame:
        """All straits, canals and capes, by id, with their gate lines (a copy)."""
        return export.layer_table(self.layers, "passages")

    @property
    def countries(self) -> gpd.GeoDataFrame:
        """All countries, by ISO 3166-1 alpha-3, with their outlines (a copy)."""
        return self.layers.countries.copy()

    @property
    def scenarios(self) -> pd.DataFrame:
        """The scenarios that `run` knows by name: name, start, note, path.

        >>> "april-2025" in study.scenarios.index
        True
        """
        rows = []
        for name, path in sorted(self.layers.scenarios.items()):
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
            told = (str(raw.get(k, "")) for k in ("name", "start", "note"))
            rows.append((name, *told, str(path)))
        return pd.DataFrame(rows, columns=["id", "name", "start", "note", "path"]).set_index("id")

    def find(self, text: str, kinds: Texts | None = None) -> pd.DataFrame:
        """Return ids by name, best first: id, kind, name, country.

        Kinds are facility, site, operator, port, passage, country, bloc and scenario.

        >>> study.find("kuantan", "port")["id"].tolist()
        ['MYKUA']
        """
        return super().find(text, [kinds] if isinstance(kinds, str) else None if kinds is None else list(kinds))

    @overload  # type: ignore[override]  # the core takes any keyword; here they are named
    def route(
        self, a: Place, b: Place, *, close: Texts = ..., open: Texts = ..., modes: Texts = ..., commodity: str = ...,
        alternatives: Literal[1] = ..., surcharges: Mapping[str, float] | Iterable[str] = ...,
    ) -> Journey: ...  # fmt: skip

    @overload
    def route(
        self, a: Place, b: Place, *, close: Texts = ..., open: Texts = ..., modes: Texts = ..., commodity: str = ...,
        alternatives: int = ..., surcharges: Mapping[str, float] | Iterable[str] = ...,
    ) -> Journey | Journeys: ...  # fmt: skip

    def route(
        self,
        a: Place,
        b: Place,
        *,
        close: Texts = (),
        open: Texts = (),
        modes: Texts = ("sea", "rail", "road"),
        commodity: str = "magnet",
        alternatives: int = 1,
        surcharges: Mapping[str, float] | Iterable[str] = (),
    ) -> Journey | Journeys:
        """Return the best route between two places as a `Journey`, or `Journeys` where `alternatives` are asked for.

        Places are ids of facilities, sites, markets or ports, or (lon, lat) in degrees. `close` and `open` are ids of
        passages, ports and borders (`AAA-BBB`); `modes` sea, rail, road, air; `commodity` sets the value of time;
        `surcharges` are USD a gross tonne by passage. A way that does not exist is told (`reachable`, `reason`), not
        raised. Raises BadInput with every problem of the question.

        >>> way = study.route("lynas-kuantan", "JPYOK")
        >>> way.reachable, way.passages
        (True, ('luzon',))
        >>> study.route("CNSHA", "NLRTM", close="suez").passages[-1]
        'dover'
        """
        problems: list[str] = []
        lists = {k: _texts(v, k, problems) for k, v in (("close", close), ("open", open), ("modes", modes))}
        if problems:
            raise BadInput(problems)
        found = super().route(a, b, **lists, commodity=commodity, alternatives=alternatives, surcharges=surcharges)
        if isinstance(found, list):
            return Journeys(journey(r, self.layers) for r in found)
        return journey(found, self.layers)

    def trace(
        self,
        place: str,
        *,
        halts: Texts = (),
        scenario: Question = None,
        bloc: str = "us-allies",
        element: str = "all",
        direction: str | None = None,
        origin: str = "",
        threshold: float | None = None,
    ) -> Origins:
        """Return whose material is in a place, or where a mine's goes; see `Answer.trace`.

        >>> mined = study.trace("vac-hanau").shares.query("stage == 'mine' and by == 'country'")
        >>> round(float(mined["share"].sum()), 6)
        1.0
        """
        answer = self.run(halts, scenario, bloc=bloc)
        return answer.trace(place, element=element, direction=direction, origin=origin, threshold=threshold)

    def chokepoints(
        self,
        bloc: str = "us-allies",
        *,
        element: str = "all",
        commodity: str = "magnet",
        among: Texts = (),
        top: int | None = None,
        progress: bool = True,
    ) -> gpd.GeoDataFrame:
        """Return what costs a bloc most to lose, one thing at a time, worst first, by id.

        `among` are kinds of things: facility, port, passage, border, exports, production, stage. Columns are those of
        `atlas export chokepoints`: lost_t, lost_share, short_t, world_short_t, extra_spend_usd, extra_days,
        replaced_by, halts, geometry and more. The first call makes some 400 solves (a minute or two on two cores, with
        a bar on standard error unless `progress` is off); they are kept, and serve every bloc, element and commodity.
        Raises BadInput for an unknown kind, UnknownName for an unknown bloc, element or commodity.
        """
        kinds = [among] if isinstance(among, str) else list(among)
        export_chokepoints.check_kinds(kinds)
        if top is not None and top < 1:
            raise BadInput(f"top {top}: expected 1 or more")
        look = lens(self.ground.stage.world, self.blocs, bloc, commodity, element)
        with progress_bar.bar("losing one thing at a time") if progress else nullcontext() as tell:
            found = singles(self, tell)
        return export_chokepoints.chokepoints_table(found.only(kinds).top(look, top), look)

    def __repr__(self) -> str:
        t = self.layers
        return (
            f"<atlas study of {self.year}: {len(t.facilities)} facilities, {len(t.ports)} ports, "
            f"{len(t.passages)} passages>"
        )

    def _repr_html_(self) -> str:
        t = self.layers
        rows = [
            (name, f"{len(getattr(t, name)):,}", f"study.{name}")
            for name in ("facilities", "ports", "passages", "countries", "scenarios")
        ]
        own = [str(d) for d in t.directories if d != data_dir("layers")]
        folders = ", ".join([*own, "shipped"])
        head = f"<p><b>Atlas study of {self.year}</b>, layers: {html.escape(folders)}</p>"
        shown = table(("", "rows", "as a table"), rows, (0, 2))
        return f"<div>{head}{shown}<p>Ask: <code>study.run(halts=[...])</code></p></div>"


def open(layers: str | Path | None = None, year: int = CALIBRATED_YEAR, settings: Settings | None = None) -> Study:
    """Open a study on the shipped layers, or with those at `layers` laid over them; see `atlas.open`."""
    return Study.of(study.open(layers, year, settings))


def _made_anew(make: Callable[..., study.Study], given: tuple[Any, ...]) -> Study:
    return Study.of(make(*given))


def _day(on: dt.date | str | None, problems: list[str]) -> dt.date | None:
    if not isinstance(on, str):
        return on
    try:
        return dt.date.fromisoformat(on)
    except ValueError:
        problems.append(f"on {on[:40]!r} is not a date YYYY-MM-DD")
        return None


def _texts(given: Any, name: str, problems: list[str]) -> tuple[str, ...]:
    """Return a text or several as a tuple; what is no text becomes a problem."""
    found = (given,) if isinstance(given, str) else tuple(given)
    wrong = [x for x in found if not isinstance(x, str)]
    problems += [f"{name}: {str(x)[:40]!r} is not a text" for x in wrong]
    return tuple(x for x in found if isinstance(x, str))
