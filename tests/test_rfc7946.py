"""The checker of RFC 7946 itself: it passes a right document and finds each single thing that is wrong."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc7946

RING = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0], [0.0, 0.0]]
HOLE = [[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 1.0], [1.0, 1.0]]


def feature(name: str, kind: str, coordinates: Any, bbox: list[float] | None = None) -> dict[str, Any]:
    made = {"type": "Feature", "id": name, "geometry": {"type": kind, "coordinates": coordinates}, "properties": {"t": 1.5}}
    return made | ({"bbox": bbox} if bbox else {})


def right() -> dict[str, Any]:
    fiji = [[[177.0, -17.0], [180.0, -16.0]], [[-180.0, -16.0], [-179.0, -18.0]]]
    return {
        "type": "FeatureCollection", "name": "x", "bbox": [0.0, -18.0, -179.0, 4.0],
        "features": [
            feature("a", "Point", [2.0, 1.0]),
            feature("b", "Polygon", [RING, HOLE], [0.0, 0.0, 4.0, 4.0]),
            feature("c", "MultiLineString", fiji, [177.0, -18.0, -179.0, -16.0]),
            {"type": "Feature", "id": "d", "geometry": None, "properties": {}},
        ],
    }  # fmt: skip


def geometry(n: int, **change: Any) -> Callable[[dict[str, Any]], None]:
    return lambda doc: doc["features"][n]["geometry"].update(change)


def member(n: int, **change: Any) -> Callable[[dict[str, Any]], None]:
    return lambda doc: doc["features"][n].update(change)


WRONG: dict[str, Callable[[dict[str, Any]], None]] = {
    "a crs": lambda doc: doc.update(crs={"type": "name", "properties": {"name": "EPSG:4326"}}),
    "a crs of a feature": member(0, crs={}),
    "no type": lambda doc: doc.pop("type"),
    "a feature without properties": lambda doc: doc["features"][0].pop("properties"),
    "a feature without geometry": lambda doc: doc["features"][3].pop("geometry"),
    "an id that is a number": member(0, id=7),
    "an id twice": member(0, id="b"),
    "no id": lambda doc: doc["features"][0].pop("id"),
    "an unknown geometry": geometry(0, type="Circle"),
    "a collection of geometries": member(0, geometry={"type": "GeometryCollection", "geometries": []}),
    "nothing in a geometry": geometry(2, coordinates=[]),
    "three numbers": geometry(0, coordinates=[2.0, 1.0, 3.0]),
    "beyond 180": geometry(0, coordinates=[181.0, 1.0]),
    "beyond the pole": geometry(0, coordinates=[2.0, 90.5]),
    "nine decimals": geometry(0, coordinates=[2.123456789, 1.0]),
    "a clockwise outer ring": geometry(1, coordinates=[RING[::-1], HOLE]),
    "a counter-clockwise hole": geometry(1, coordinates=[RING, HOLE[::-1]]),
    "an open ring": geometry(1, coordinates=[RING[:-1], HOLE]),
    "a line of one position": geometry(2, coordinates=[[[177.0, -17.0]]]),
    "not cut at the antimeridian": geometry(2, type="LineString", coordinates=[[177.0, -17.0], [-179.0, -18.0]]),
    "a bbox around the world": member(2, bbox=[-180.0, -18.0, 180.0, -16.0]),
    "a bbox that is too large": member(1, bbox=[-1.0, 0.0, 4.0, 4.0]),
    "a bbox that is too small": member(1, bbox=[1.0, 0.0, 4.0, 4.0]),
    "no bbox of all": lambda doc: doc.pop("bbox"),
    "a bbox of all around the world": lambda doc: doc.update(bbox=[-180.0, -18.0, 180.0, 4.0]),
}


def test_a_right_document_passes() -> None:
    assert rfc7946.problems(json.dumps(right())) == []


@pytest.mark.parametrize("what", WRONG)
def test_each_fault_is_found(what: str) -> None:
    doc = right()
    WRONG[what](doc)
    assert rfc7946.problems(json.dumps(doc))


def test_faults_of_the_text_are_found() -> None:
    text = json.dumps(right())
    for old, new in (("1.5", "NaN"), ("1.5", "Infinity"), ("[2.0, 1.0]", "[2e-5, 1.0]"), ('"name": "x"', '"name": "x", "name": "y"')):
        assert rfc7946.problems(text.replace(old, new, 1)), new
