"""A small invented outcome with everything a page must show, hostile names included; no solver, no network.

`fake_outcome(halted=True)` has the tables of a real `Outcome`; `fake_study()` answers like a `Study` and counts its
solves. Routes run along a handful of waypoints, with continuous longitudes across the Pacific.
"""

import copy
import hashlib
import itertools
import time
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from fake_network import fake_states
from fake_validation import fake_reading, fake_targets, fake_world
from shapely.geometry import LineString, Point

from atlas.config import data_dir
from atlas.errors import BadInput, UnknownName, nearest
from atlas.schema import Schema, read_schema

HOSTILE = "Evil </script><img src=x onerror=alert(1)> & Söhne \"'`${7*7}{{7*7}}\\ mine"
ROOT = Path(__file__).resolve().parent.parent

# id: lon, lat (east of 180 where the way across the Pacific needs it)
WAYPOINTS = {
    "bayan-obo": (109.97, 41.79),
    "baotou-sep": (109.8, 40.66),
    "baotou-metal": (109.9, 40.6),
    "ganzhou-mine": (114.9, 25.85),
    "ganzhou-sep": (115.0, 25.9),
    "ningbo-magnet": (121.55, 29.87),
    "tianjin": (117.7, 38.98),
    "shanghai": (121.9, 31.0),
    "taiwan-n": (122.5, 26.0),
    "luzon": (120.0, 20.5),
    "scs": (111.0, 11.0),
    "singapore": (104.0, 1.25),
    "malacca-n": (98.0, 5.5),
    "lanka": (80.6, 5.7),
    "bab": (43.4, 12.6),
    "suez-s": (32.6, 29.9),
    "suez-n": (32.3, 31.3),
    "sicily": (11.0, 37.3),
    "gibraltar": (-5.6, 35.95),
    "finisterre": (-9.8, 43.3),
    "dover": (1.4, 51.0),
    "hamburg": (9.9, 53.54),
    "hanau-magnet": (8.92, 50.13),
    "deu-market": (9.2, 48.8),
    "narva-sep": (28.2, 59.38),
    "skagen": (10.7, 57.9),
    "sunda-s": (105.2, -6.1),
    "cape": (19.0, -36.0),
    "dakar": (-18.0, 14.0),
    "mt-weld": (122.55, -28.86),
    "fremantle": (115.74, -32.05),
    "kuantan": (103.43, 3.97),
    "tokyo": (139.8, 35.6),
    "jpn-magnet": (133.9, 34.66),
    "stuttgart-works": (9.18, 48.78),
    "haiphong": (106.8, 20.8),
    "jpn-market": (139.7, 35.7),
    "pac-w": (160.0, 42.0),
    "pac-m": (180.0, 46.0),
    "pac-e": (205.0, 45.0),
    "la": (241.7, 33.7),
    "mountain-pass": (-115.53, 35.48),
    "fort-worth": (-97.3, 32.9),
    "usa-market": (-83.0, 42.3),
    "chn-market": (113.9, 22.6),
    "serra-verde": (-48.5, -13.6),
    "santos": (-46.3, -24.0),
    "myanmar": (98.3, 25.9),
    "ruili": (97.9, 24.0),
}

FACILITIES = [  # id, name, stage, product, operator, country, status, unit, capacity, output, precision, confidence
    (
        "bayan-obo",
        "Bayan Obo",
        "mine",
        "concentrate",
        "Baotou Steel",
        "CHN",
        "operating",
        "t_reo",
        188650,
        188650,
        5,
        "B",
    ),
    (
        "ganzhou-mine",
        "Ganzhou clays",
        "mine",
        "concentrate",
        "China RE Group",
        "CHN",
        "operating",
        "t_reo",
        14000,
        12000,
        40,
        "C",
    ),
    ("mt-weld", "Mount Weld", "mine", "concentrate", "Lynas", "AUS", "operating", "t_reo", 22000, 12000, 1, "A"),
    (
        "mountain-pass",
        "Mountain Pass",
        "mine",
        "concentrate",
        "MP Materials",
        "USA",
        "operating",
        "t_reo",
        45000,
        43000,
        1,
        "A",
    ),
    (
        "serra-verde",
        HOSTILE,
        "mine",
        "concentrate",
        "<b>Serra</b> & Co",
        "BRA",
        "commissioning",
        "t_reo",
        5000,
        200,
        5,
        "B",
    ),
    ("myanmar", "Kachin clays", "mine", "concentrate", "many", "MMR", "operating", "t_reo", 31000, 31000, 80, "C"),
    (
        "baotou-sep",
        "Baotou separators",
        "separation",
        "oxide",
        "Northern RE",
        "CHN",
        "operating",
        "t_reo",
        127000,
        122000,
        40,
        "C",
    ),
    (
        "ganzhou-sep",
        "Ganzhou separators",
        "separation",
        "oxide",
        "China RE Group",
        "CHN",
        "operating",
        "t_reo",
        40000,
        33000,
        40,
        "C",
    ),
    ("kuantan", "Lynas Malaysia", "separation", "oxide", "Lynas", "MYS", "operating", "t_reo", 22000, 12000, 1, "A"),
    (
        "narva-sep",
        "Neo Silmet",
        "separation",
        "oxide",
        "Neo Performance",
        "EST",
        "operating",
        "t_reo",
        3000,
        1600,
        1,
        "B",
    ),
    ("baotou-metal", "Baotou metal", "metal", "metal", "various", "CHN", "operating", "t_metal", 60000, 52000, 20, "C"),
    (
        "ningbo-magnet",
        "Ningbo magnets",
        "magnet",
        "sintered",
        "JL MAG and others",
        "CHN",
        "operating",
        "t_magnet",
        190000,
        170000,
        25,
        "B",
    ),
    (
        "jpn-magnet",
        "Shin-Etsu and Proterial",
        "magnet",
        "sintered",
        "Shin-Etsu",
        "JPN",
        "operating",
        "t_magnet",
        18000,
        13000,
        30,
        "B",
    ),
    (
        "hanau-magnet",
        "Vacuumschmelze Hanau",
        "magnet",
        "sintered",
        "Vacuumschmelze",
        "DEU",
        "operating",
        "t_magnet",
        1500,
        900,
        1,
        "A",
    ),
    (
        "fort-worth",
        "MP Independence",
        "magnet",
        "sintered",
        "MP Materials",
        "USA",
        "construction",
        "t_magnet",
        1000,
        np.nan,
        1,
        "A",
    ),
]

PORTS = [
    ("CNSHA", "Shanghai", "CHN", "shanghai"),
    ("CNTXG", "Tianjin", "CHN", "tianjin"),
    ("DEHAM", "Hamburg", "DEU", "hamburg"),
    ("USLAX", "Los Angeles", "USA", "la"),
    ("JPTYO", "Tokyo", "JPN", "tokyo"),
    ("AUFRE", "Fremantle", "AUS", "fremantle"),
    ("BRSSZ", HOSTILE, "BRA", "santos"),
]
PASSAGES = [
    ("malacca", "Malacca Strait", [(103.2, 1.9), (102.2, 1.2)], True),
    ("suez", "Suez Canal", [(32.0, 30.5), (33.0, 30.5)], True),
    ("sunda", "Sunda Strait", [(105.8, -5.9), (104.9, -6.6)], True),
    ("taiwan", "Taiwan Strait", [(119.0, 25.3), (121.0, 25.0)], True),
    ("cape-of-good-hope", "Cape of Good Hope", [(19.0, -34.5), (19.0, -60.0)], True),
    ("northern-sea-route", "Northern Sea Route", [(104.0, 77.7), (104.0, 82.0)], False),
]

EUROPE = [
    "shanghai",
    "taiwan-n",
    "luzon",
    "scs",
    "singapore",
    "malacca-n",
    "lanka",
    "bab",
    "suez-s",
    "suez-n",
    "sicily",
    "gibraltar",
    "finisterre",
    "dover",
    "hamburg",
]
SUNDA = ["shanghai", "taiwan-n", "luzon", "scs", "sunda-s", "cape", "dakar", "finisterre", "dover", "hamburg"]
PACIFIC = ["shanghai", "tokyo", "pac-w", "pac-m", "pac-e", "la"]

# from, to, commodity, element, grade, baseline route, halted route, baseline t, halted t
FLOWS: list[tuple[str, str, str, str, str, list[str], list[str], float, float]] = [
    ("bayan-obo", "baotou-sep", "concentrate", "", "", [], [], 120000, 118000),
    ("ganzhou-mine", "ganzhou-sep", "concentrate", "", "", [], [], 12000, 12000),
    ("myanmar", "ganzhou-sep", "concentrate", "", "", ["ruili"], ["ruili"], 31000, 26000),
    ("mountain-pass", "baotou-sep", "concentrate", "", "", [*reversed(PACIFIC), "tianjin"], [], 38000, 0),
    ("mountain-pass", "kuantan", "concentrate", "", "", [], [*reversed(PACIFIC), "taiwan-n", "luzon", "scs"], 0, 9000),
    (
        "mt-weld",
        "kuantan",
        "concentrate",
        "",
        "",
        ["fremantle", "sunda-s", "singapore"],
        ["fremantle", "sunda-s", "singapore"],
        12000,
        21000,
    ),
    (
        "serra-verde",
        "narva-sep",
        "concentrate",
        "",
        "",
        ["santos", "dakar", "finisterre", "dover", "hamburg", "skagen"],
        ["santos", "dakar", "finisterre", "dover", "hamburg", "skagen"],
        120,
        2900,
    ),
    ("baotou-sep", "baotou-metal", "oxide", "Nd", "", [], [], 30000, 29000),
    ("baotou-sep", "baotou-metal", "oxide", "Pr", "", [], [], 9000, 8800),
    ("ganzhou-sep", "baotou-metal", "oxide", "Dy", "", ["shanghai", "tianjin"], ["shanghai", "tianjin"], 1900, 1900),
    ("ganzhou-sep", "jpn-magnet", "oxide", "Tb", "", ["shanghai", "tokyo"], [], 210, 0),
    (
        "kuantan",
        "jpn-magnet",
        "oxide",
        "Nd",
        "",
        ["scs", "luzon", "taiwan-n", "tokyo"],
        ["scs", "luzon", "taiwan-n", "tokyo"],
        3900,
        6100,
    ),
    (
        "kuantan",
        "hanau-magnet",
        "oxide",
        "Nd",
        "",
        [],
        [
            "singapore",
            "malacca-n",
            "lanka",
            "bab",
            "suez-s",
            "suez-n",
            "sicily",
            "gibraltar",
            "finisterre",
            "dover",
            "hamburg",
        ],
        0,
        800,
    ),
    ("narva-sep", "hanau-magnet", "oxide", "Nd", "", ["skagen", "hamburg"], ["skagen", "hamburg"], 240, 380),
    (
        "baotou-metal",
        "ningbo-magnet",
        "metal",
        "Nd",
        "",
        ["tianjin", "shanghai"],
        ["tianjin", "shanghai"],
        36000,
        34000,
    ),
    ("baotou-metal", "ningbo-magnet", "metal", "Pr", "", ["tianjin", "shanghai"], ["tianjin", "shanghai"], 9000, 8600),
    ("baotou-metal", "jpn-magnet", "metal", "Nd", "", ["tianjin", "tokyo"], ["tianjin", "tokyo"], 2600, 1300),
    ("baotou-metal", "hanau-magnet", "metal", "Nd", "", EUROPE, SUNDA, 240, 110),
    ("ningbo-magnet", "chn-market", "magnet", "", "standard", [], [], 78000, 78000),
    ("ningbo-magnet", "chn-market", "magnet", "", "SH", [], [], 41000, 45000),
    ("ningbo-magnet", "jpn-market", "magnet", "", "standard", ["shanghai", "tokyo"], [], 6100, 0),
    ("ningbo-magnet", "deu-market", "magnet", "", "standard", EUROPE, [], 11200, 0),
    ("ningbo-magnet", "deu-market", "magnet", "", "SH", EUROPE, [], 4100, 0),
    ("ningbo-magnet", "usa-market", "magnet", "", "standard", PACIFIC, [], 6200, 0),
    ("ningbo-magnet", "usa-market", "magnet", "", "SH", PACIFIC, [], 1900, 0),
    ("jpn-magnet", "jpn-market", "magnet", "", "SH", ["tokyo"], ["tokyo"], 9000, 8000),
    ("jpn-magnet", "usa-market", "magnet", "", "SH", PACIFIC[1:], PACIFIC[1:], 1900, 4100),
    ("jpn-magnet", "deu-market", "magnet", "", "SH", ["tokyo", *EUROPE[1:]], ["tokyo", *SUNDA[1:]], 900, 2300),
    ("hanau-magnet", "deu-market", "magnet", "", "SH", [], [], 900, 1450),
]
# what a scenario of much more than halts adds: the same, and the third country of the halted state
MORE_FLOWS: list[tuple[Any, ...]] = [
    ("ningbo-magnet", "stuttgart-works", "magnet", "", "SH", EUROPE, [], 300, 0, ""),
    ("jpn-magnet", "stuttgart-works", "magnet", "", "SH", [], ["tokyo", *SUNDA[1:]], 0, 45, ""),
    ("ningbo-magnet", "usa-market", "magnet", "", "standard", [], ["shanghai", "haiphong", *PACIFIC[1:]], 0, 900, "VNM"),
]
SECTORS = ("automotive", "wind", "consumer_electronics")


WAYS: dict[str, tuple[str, ...]] = {}  # waypoints of the routes drawn so far


def densified(a: str, b: str) -> list[tuple[float, float]]:
    """Return points from a to b, the same whichever end one starts from; longitudes run on from a's."""
    first, last = sorted((a, b))
    p, q = np.array(WAYPOINTS[first]), np.array(WAYPOINTS[last])
    q[0] += 360 * np.round((p[0] - q[0]) / 360)
    n = max(2, int(np.hypot(*(q - p)) / 0.8))
    line = [tuple(map(float, xy)) for xy in np.round(p + np.linspace(0, 1, n)[:, None] * (q - p), 4)]
    return line if first == a else line[::-1]


def geometry_of(nodes: tuple[str, ...]) -> LineString:
    """Return the line along waypoints with continuous longitudes."""
    out: list[tuple[float, float]] = []
    for a, b in itertools.pairwise(nodes):
        part = densified(a, b)
        shift = 0.0 if not out else 360 * round((out[-1][0] - part[0][0]) / 360)
        out += [(x + shift, y) for x, y in part][1 if out else 0 :]
    return LineString(out)


def route_id(nodes: tuple[str, ...]) -> str:
    """Return a stable name of a way."""
    return hashlib.sha1("|".join(nodes).encode()).hexdigest()[:12]


class FakeLayers(SimpleNamespace):
    """The tables a page reads, with `bloc`, `find` and the shipped directories."""

    bloc_names = ("prc", "us-allies")

    def bloc(self, name: str, on: Any = None) -> frozenset[str]:
        known = {
            "us-allies": frozenset({"USA", "JPN", "DEU", "AUS", "EST", "GBR", "FRA"}),
            "prc": frozenset({"CHN", "HKG"}),
        }
        if name not in known:
            raise UnknownName("bloc", name, nearest(name, known))
        return known[name]

    def directory(self, name: str) -> Path:
        return data_dir("layers") / name

    def find(self, text: str, kinds: Any = None) -> pd.DataFrame:
        rows = [(i, "facility", str(r["name"]), r["country"]) for i, r in self.facilities.iterrows()]
        rows += [(i, "port", str(r["name"]), r["country"]) for i, r in self.ports.iterrows()]
        rows += [(i, "passage", str(r["name"]), "") for i, r in self.passages.iterrows()]
        hits = [r for r in rows if text.lower() in (r[0] + " " + r[2]).lower() and (not kinds or r[1] in kinds)]
        return pd.DataFrame(hits, columns=["id", "kind", "name", "country"])


@lru_cache(maxsize=1)
def fake_layers() -> FakeLayers:
    """Return the invented layers (countries are the shipped ones)."""
    rows = []
    for fid, name, stage, product, operator, country, status, unit, cap, out, precision, conf in FACILITIES:
        lon, lat = WAYPOINTS[fid]
        rows.append(
            {
                "id": fid,
                "site": fid,
                "name": name,
                "stage": stage,
                "product": product,
                "operator": operator,
                "operator_ids": ("lynas",) if "Lynas" in operator else (),
                "country": country,
                "lon": lon,
                "lat": lat,
                "coord_precision_km": float(precision),
                "status": status,
                "start_year": 2010.0,
                "end_year": np.nan,
                "unit": unit,
                "capacity_t": float(cap),
                "output_t": out,
                "output_year": 2024.0,
                "usgs_output_t": np.nan,
                "elements": ("Nd", "Pr"),
                "grades": ("SH",) if stage == "magnet" else (),
                "feeds": (),
                "feeds_text": "",
                "modelled": "yes",
                "model_note": "",
                "reported": f"capacity {cap} t",
                "notes": "a note <i>",
                "source_id": "atlas-estimate",
                "confidence": conf,
                "geometry": Point(lon, lat),
            }
        )
    rows.append(
        rows[0]
        | {
            "id": "javascript-mine",
            "name": "Planned mine",
            "status": "planned",
            "lon": -110.0,
            "lat": 60.0,
            "output_t": np.nan,
            "modelled": "no",
            "model_note": "tonnage not published",
            "source_id": "bad-link",
            "country": "CAN",
            "geometry": Point(-110, 60),
        }
    )
    facilities = gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326").set_index("id").sort_index()
    markets = pd.DataFrame(
        [
            (f"{c.lower()}-market", c, c.title(), *WAYPOINTS[f"{c.lower()}-market"], 0.0)
            for c in ("CHN", "DEU", "JPN", "USA")
        ],
        columns=["id", "country", "name", "lon", "lat", "eol_reo_t"],
    ).set_index("id")
    demand = pd.DataFrame(
        [(f"{c.lower()}-{s}", c, s, 1000.0) for c in ("CHN", "DEU", "JPN", "USA") for s in SECTORS],
        columns=["id", "country", "sector", "demand_t"],
    ).set_index("id")
    ports = gpd.GeoDataFrame(
        [
            {
                "id": i,
                "name": n,
                "country": c,
                "lon": WAYPOINTS[w][0],
                "lat": WAYPOINTS[w][1],
                "handling_usd_t": 12.0,
                "dwell_days": 3.0,
                "notes": "",
                "source_id": "unlocode",
                "confidence": "B",
                "geometry": Point(*WAYPOINTS[w]),
            }
            for i, n, c, w in PORTS
        ],
        geometry="geometry",
        crs="EPSG:4326",
    ).set_index("id")
    passages = gpd.GeoDataFrame(
        [
            {
                "id": i,
                "name": n,
                "default_open": o,
                "toll_usd_t": 0.0,
                "delay_days": 0.0,
                "transits_per_day": np.nan,
                "source_id": "searoute",
                "confidence": "B",
                "geometry": LineString(g),
            }
            for i, n, g, o in PASSAGES
        ],
        geometry="geometry",
        crs="EPSG:4326",
    ).set_index("id")
    countries = gpd.read_file(ROOT / "layers" / "countries.geojson").set_index("iso3")
    sources = pd.DataFrame(
        [
            ("atlas-estimate", "Estimate of the atlas", "", "Atlas", "Apache-2.0", "2024-11-01", ""),
            ("searoute", "searoute", "https://github.com/genthalili/searoute-py", "", "Apache-2.0; EUPL-1.2", "", ""),
            ("unlocode", "UN/LOCODE", "https://unece.org/trade/uncefact/unlocode", "UNECE", "", "", ""),
            ("bad-link", "A hostile source", "javascript:alert(1)", "", "", "", ""),
        ],
        columns=["id", "title", "url", "publisher", "licence", "accessed", "note"],
    ).set_index("id")
    operators = pd.DataFrame([("lynas", "Lynas Rare Earths", "AUS")], columns=["id", "name", "country"]).set_index("id")
    blocs = pd.DataFrame(
        [("us-allies", "USA", "1949", "no"), ("prc", "CHN", "1949", "no")],
        columns=["bloc", "country", "since", "contested"],
    )
    # Grades and sectors are the shipped ones: what a form offers.
    grades, sectors = (pd.read_csv(ROOT / "layers" / f"{n}.csv").set_index("id") for n in ("grades", "sectors"))
    shipped = read_schema(data_dir("layers") / "schema.csv")
    return FakeLayers(
        grades=grades,
        sectors=sectors,
        facilities=facilities,
        markets=markets,
        demand=demand,
        ports=ports,
        passages=passages,
        countries=countries,
        sources=sources,
        operators=operators,
        blocs=blocs,
        targets=fake_targets(),
        parameters=pd.Series({"transshipment_share": 0.3}),
        scenarios={"china-cuts-off-allies": data_dir("layers") / "scenarios" / "china-cuts-off-allies.toml"},
        digest="f" * 64,
        schema=Schema(tuple(c for c in shipped.columns if c.layer in ("facilities", "ports", "passages", "sources"))),
    )


def fake_outcome(
    halts: tuple[str, ...] = ("country:CHN/magnet",), bloc: str = "us-allies", name: str = "", more: bool = False
) -> Any:
    """Return an outcome: with halts the halted column of FLOWS, without the baseline twice.

    `more` adds a buyer with a contract, transshipment, a stock, a draw and another parameter.
    """
    layers = fake_layers()
    flows, geometries = _flow_table(bool(halts), layers, [*((*f, "") for f in FLOWS), *(MORE_FLOWS if more else [])])
    base = _state(flows[flows["state"] == "baseline"], 0.0, layers)
    halted = _state(flows[flows["state"] == "halted"], 23400.0 if halts else 0.0, layers)
    lanes = ["from_id", "from_country", "to_id", "to_country", "commodity", "element", "grade"]
    pivot = (
        flows[flows["route_id"] != ""]
        .pivot_table(index=lanes, columns="state", values="tonnes", aggfunc="sum")
        .fillna(0.0)
    )
    changes = pivot.rename(columns={"baseline": "baseline_t", "halted": "halted_t"}).reset_index()
    changes["change_t"] = changes["halted_t"] - changes["baseline_t"]
    b, h = changes["baseline_t"], changes["halted_t"]
    changes["kind"] = np.select([h <= 0, b <= 0, h < b, h > b], ["lost", "new", "reduced", "grown"], "kept")
    routes = flows.sort_values("state", ascending=False).drop_duplicates(lanes)[
        [*lanes, "route_id"]
    ]  # the halted one first
    changes = changes.merge(routes, on=lanes, how="left")
    made = {
        s: flows[(flows["state"] == s) & (flows["commodity"] != "")].groupby("from_id")["tonnes"].sum()
        for s in ("baseline", "halted")
    }
    table = (
        pd.DataFrame({"baseline_t": made["baseline"], "halted_t": made["halted"]})
        .reindex(layers.facilities.index)
        .fillna(0.0)
    )
    if more:
        base, halted = base | _more(300.0, {"ningbo-magnet": 300.0}), halted | _more(45.0, {"jpn-magnet": 45.0})
        halted |= {"transshipped_t": {"VNM": 900.0}, "released_t": {"stock-jpn-dy-metal-1": 30.0},
                   "step_down_by_grade": {"SH": 120.0}, "step_up_by_grade": {"cerium": 40.0}}  # fmt: skip
    table["normal_t"], table["limit_t"] = table["baseline_t"], layers.facilities["capacity_t"]
    table["unit"] = layers.facilities["unit"]
    summary = {
        "scenario": {"name": name, "halts": sorted(halts), **(copy.deepcopy(MORE) if more else {}), "year": 2024, "on": "2024-07-01"},
        "bloc": bloc,
        "baseline": base,
        "halted": halted,
        "certificate": {
            s: {"primal_residual": 1e-12, "dual_residual": 1e-12, "gap": 1e-14} for s in ("baseline", "halted")
        },
        "replaced": [
            {"importer": "USA", "commodity": "magnet", "from_country": "CHN", "to_country": "JPN", "tonnes": 2200.0},
            {"importer": "DEU", "commodity": "magnet", "from_country": "CHN", "to_country": "JPN", "tonnes": 1400.0},
        ]
        if halts
        else [],
        "tuned": ["baotou-metal: -210 USD/t"],
    }
    sentence = (
        "Without Chinese magnets 23,400 t of 163,000 t of demand go short, most of it in Germany; Japan and the United States "
        "replace 3,600 t."
        if halts
        else "In the 2024 baseline 163,000 t of magnets reach their buyers and nothing is short."
    )
    ways = {rid: WAYS[rid] for rid in flows["route_id"].unique() if rid}
    pairs = sorted({tuple(sorted(pair)) for nodes in ways.values() for pair in itertools.pairwise(nodes)})
    before, after = fake_states(flows, ways, {pair: densified(*pair) for pair in pairs})
    return SimpleNamespace(
        baseline=before,
        halted=after,
        summary=summary,
        scenario=SimpleNamespace(name=name, specs=tuple(sorted(halts)), on=None),
        year=2024,
        bloc=bloc,
        bloc_countries=layers.bloc(bloc),
        flows=flows,
        changes=changes,
        facilities=table,
        sentence=sentence,
        notes=["An annual rate, as if the halt lasted a year."],
        layers=layers,
        geometry=lambda rid: geometries.get(rid, LineString()),
        certificate_arrays={},
    )


MORE: dict[str, Any] = {
    "buyers": [{"id": "stuttgart-works", "lon": 9.18, "lat": 48.78, "sector": "automotive_other", "grade": "SH", "tonnes": 300.0}],
    "contracts": [{"buyer": "stuttgart-works", "supplier": "ningbo-magnet", "commodity": "magnet", "grade": "SH", "tonnes": 200.0}],
    "stocks": [{"holder": "JPN", "commodity": "metal", "element": "Dy", "tonnes": 50.0}],
    "priority": [{"buyer": "stuttgart-works", "class": 1}],
    "parameters": {"transshipment_share": 0.5},
    "transshipment": {"via": ["VNM"]},
    "draw": 7,
}


def _more(got: float, suppliers: dict[str, float]) -> dict[str, Any]:
    buyer = {
        "country": "DEU", "sector": "automotive_other", "grade": "SH", "priority_class": 1, "demand_t": 300.0, "supplied_t": got,
        "shortage_t": 300.0 - got, "step_down_t": 0.0, "by_supplier_t": suppliers, "by_country_t": {}, "mean_days": 31.0, "delivery_usd_t": 1700.0,
    }  # fmt: skip
    return {"buyers": {"stuttgart-works": buyer}}


def _flow_table(halted: bool, layers: FakeLayers, table: list[tuple[Any, ...]]) -> tuple[pd.DataFrame, dict[str, LineString]]:
    rows, geometries = [], {}
    for origin, to, commodity, element, grade, way0, way1, t0, t1, via in table:
        for state, way, tonnes in (("baseline", way0, t0), ("halted", way1 if halted else way0, t1 if halted else t0)):
            if tonnes <= 0:
                continue
            nodes = (origin, *way, to)
            rid = route_id(nodes)
            WAYS[rid] = nodes
            geometries[rid] = geometry_of(nodes)
            country = layers.facilities["country"].get(to) or layers.markets["country"].get(to) or "DEU"
            ends = [f"{country.lower()}-{s}" for s in SECTORS] if to.endswith("-market") else [to]
            for end in ends:
                rows.append(
                    {
                        "state": state,
                        "commodity": commodity,
                        "element": element,
                        "grade": grade,
                        "from_id": origin,
                        "from_country": layers.facilities["country"][origin],
                        "to_id": end,
                        "to_country": country,
                        "tonnes": tonnes / len(ends),
                        "distance_km": 100.0 * geometries[rid].length,
                        "days": 2.0 * len(nodes),
                        "cost_usd_t": 50.0 * len(nodes),
                        "passages": "malacca" if "malacca-n" in nodes else "",
                        "ports": "CNSHA" if "shanghai" in nodes else "",
                        "borders": "",
                        "route_id": rid,
                        "via": via,
                    }
                )
    rows += [
        {
            "state": s,
            "commodity": "oxide",
            "element": "Nd",
            "grade": "",
            "from_id": "baotou-sep",
            "from_country": "CHN",
            "to_id": "surplus",
            "to_country": "",
            "tonnes": 55.0,
            "distance_km": np.nan,
            "days": np.nan,
            "cost_usd_t": np.nan,
            "passages": "",
            "ports": "",
            "borders": "",
            "route_id": "",
            "via": "",
        }
        for s in ("baseline", "halted")
    ]
    return pd.DataFrame(rows), geometries


def _state(flows: pd.DataFrame, short: float, layers: FakeLayers) -> dict[str, Any]:
    magnets = flows[flows["commodity"] == "magnet"]
    through = {
        "passage": {"malacca": float(flows.loc[flows["passages"] == "malacca", "tonnes"].sum()), "suez": 900.0},
        "port": {"CNSHA": float(flows.loc[flows["ports"] == "CNSHA", "tonnes"].sum()), "DEHAM": 5200.0},
        "border": {"CHN-MMR": 31000.0},
    }
    return {
        "status": "optimal",
        "objective_usd": 5.1e9 + 1e5 * short,
        "spend_usd": 5.0e9 - 1e3 * short,
        "unit_spend_usd_t": 30700.0 + short / 100,
        "mean_days": 14.2 + short / 9000,
        "mean_km": 5600.0,
        "demand_t": 163000.0,
        "supplied_t": 163000.0 - short,
        "shortage_t": short,
        "shortage_by_country": {"DEU": short * 0.6, "USA": short * 0.3, "JPN": short * 0.1} if short else {},
        "shortage_by_sector": {"automotive": short * 0.7, "wind": short * 0.3} if short else {},
        "shortage_by_grade": {"SH": short * 0.5, "standard": short * 0.5} if short else {},
        "step_down_by_grade": {},
        "step_up_by_grade": {},
        "buyers": {},
        "transshipped_t": {},
        "released_t": {},
        "confidence_c_share": {"all": 0.612, "mine": 0.33, "separation": 0.6, "metal": 0.95, "magnet": 0.8, "recycling": 0.1, "demand": 1.0},
        "prices_usd_t": {
            "magnet": {"SH": {"DEU": 900.0 + 60 * short, "USA": 1100.0 + 59.9 * short, "CHN": 400.0}},
            "metal": {"Dy": {"JPN": 8000.0 + short / 10}},
            "concentrate": {"all": {"CHN": 100.0}},
        },
        "price_kinks": {"magnet": {"SH": {"DEU": "neither", "CHN": "less"}}},
        "bloc_supplied_share": 1 - short / 40000,
        "bloc_origin_share": {"mine": 0.2, "separation": 0.15, "metal": 0.1, "magnet": 0.31 + short / 60000},
        "stage_output_t": {"magnet": magnets.groupby("from_country")["tonnes"].sum().to_dict()},
        "mine_output_usgs_t": {},
        "stage_output_element_t": {},
        "imports_t": {},
        "imports_element_t": {},
        "hhi": {"mine": 0.5, "magnet": 0.8},
        "throughput_t": through,
    }


class FakeStudy:
    """Answers like a study; `solved` lists what it was asked, `delay_s` and `fails` make it slow or broken."""

    def __init__(self) -> None:
        self.layers, self.year, self.solved = fake_layers(), 2024, []
        self.baseline = SimpleNamespace(world=fake_world(), reading=fake_reading())
        self.calibration = SimpleNamespace(tuned=("held by cost corrections at 2024", "unit:a: -1200 USD/t"))
        self.names = SimpleNamespace(border=frozenset({"CHN-MMR"}))
        self.delay_s, self.fails = 0.0, None

    def question(self, halts: Any = (), scenario: Any = None, on: Any = None) -> Any:
        """Return the halts of a question, or raise with all its problems."""
        halts = [*halts, *(h["spec"] for h in (scenario or {}).get("halt", ()))]
        problems = [
            f"unknown country {h.split(':')[1][:20]!r}; nearest: CHN"
            for h in halts
            if h.split(":")[0] == "country" and not h.split(":")[1].startswith("CHN")
        ]
        problems += [
            f"halt {h[:60]!r}: share must be over 0 and at most 1" for h in halts if "@1.5" in h or "@nan" in h
        ]
        problems += [f"unknown halt kind {h[:20]!r}; nearest: country" for h in halts if ":" not in h]
        problems += [f"unknown scenario field {k!r}" for k in (scenario or {}) if k not in ("name", "note", "start", "days", "halt", "open")]
        if problems:
            raise BadInput(problems)
        specs = tuple(sorted(set(halts)))
        return SimpleNamespace(
            key="|".join(specs), name=(scenario or {}).get("name", "halts"), specs=specs, is_baseline=not specs
        )

    def solve(self, halts: Any = (), scenario: Any = None, bloc: str = "us-allies", on: Any = None) -> Any:
        """Answer a question; slow or broken on demand."""
        self.layers.bloc(bloc)
        question = scenario if hasattr(scenario, "specs") else self.question(halts, scenario, on)
        time.sleep(self.delay_s)
        if self.fails:
            raise self.fails
        self.solved.append(question.specs)
        return fake_outcome(question.specs, bloc)

    def find(self, text: str, kinds: Any = None) -> pd.DataFrame:
        return self.layers.find(text, kinds)

    def route(self, a: Any, b: Any, **kwargs: Any) -> Any:
        if isinstance(a, str) and a not in WAYPOINTS and not a.isupper():
            raise UnknownName("place", a, nearest(a, WAYPOINTS))
        doc = {
            "reachable": True,
            "reason": "",
            "distance_km": 10.0,
            "days": 1.0,
            "cost_usd_t": 5.0,
            "passages": [],
            "ports": [],
            "borders": [],
            "countries": [],
            "snap_km": [0.0, 0.0],
            "legs": [],
            "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
        }
        one = SimpleNamespace(
            to_json=lambda: doc, reachable=True, reason="", line=LineString([(0, 0), (1, 1)]), legs=(), ports=(), passages=(), borders=()
        )
        return one if kwargs.get("alternatives", 1) == 1 else [one, one]


def fake_study() -> FakeStudy:
    """Return a study over the invented layers."""
    return FakeStudy()
