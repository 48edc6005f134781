"""Geography: lengths, the antimeridian, countries of points, nearest points."""

import geopandas as gpd
import numpy as np
import pytest
from shapely import LineString, MultiLineString, MultiPolygon, Point, box, get_coordinates

from atlas import geo


def test_lengths():
    assert geo.geodesic_km(0, 0, 1, 0) == pytest.approx(111.3195, abs=1e-3)
    assert geo.geodesic_km(179.5, 0, -179.5, 0) == pytest.approx(111.3195, abs=1e-3)
    assert geo.geodesic_km([0, 0], [0, 10], 1.0, [0, 10]).shape == (2,)
    assert geo.geodesic_km(0, 0, 361, 0) == pytest.approx(geo.geodesic_km(0, 0, 1, 0))
    assert geo.line_km([(0, 0), (1, 0), (2, 0)]) == pytest.approx(222.639, abs=1e-2)
    assert geo.line_km(MultiLineString([[(0, 0), (1, 0)], [(5, 0), (6, 0)]])) == pytest.approx(222.639, abs=1e-2)
    assert geo.line_km([(3, 4)]) == 0.0


def test_wrap_and_unwrap():
    assert geo.wrap_lon([190, -190, 180, -180, 540, 0]).tolist() == [-170, 170, 180, -180, 180, 0]
    assert geo.unwrap([(170, 0), (-170, 1), (-160, 2)])[:, 0].tolist() == [170, 190, 200]
    assert geo.unwrap([(-170, 0), (170, 1)])[:, 0].tolist() == [-170, -190]


def test_lines_are_cut_at_the_antimeridian():
    cut = geo.split_antimeridian(LineString([(170, 0), (190, 10), (200, 10)]))
    assert [list(p.coords) for p in cut.geoms] == [[(170, 0), (180, 5)], [(-180, 5), (-170, 10), (-160, 10)]]
    whole = LineString([(170, 0), (180, 10)])
    assert geo.split_antimeridian(whole) == whole
    assert list(geo.split_antimeridian(LineString([(-190, 0), (-185, 10)])).coords) == [(170, 0), (175, 10)]
    twice = geo.split_antimeridian(LineString([(0, 0), (800, 1)]))
    assert twice.length == pytest.approx(LineString([(0, 0), (800, 1)]).length)
    assert len(twice.geoms) == 3


def test_a_line_that_doubles_back_keeps_every_part():
    there_and_back = LineString([(170, 0), (190, 0), (170, 0), (175, 3), (540, 3), (541, 4)])
    cut = geo.split_antimeridian(there_and_back)
    assert cut.length == pytest.approx(there_and_back.length)
    assert [round(p.length, 6) for p in cut.geoms] == [10, 20, pytest.approx(10 + 34**0.5 + 5), 360, pytest.approx(2**0.5)]
    assert np.abs(get_coordinates(cut)[:, 0]).max() == 180
    along = geo.split_antimeridian(LineString([(179, 0), (180, 1), (180, 2), (181, 3)]))
    assert [list(p.coords) for p in along.geoms] == [[(179, 0), (180, 1), (180, 2)], [(-180, 2), (-179, 3)]]
    many = geo.split_antimeridian(MultiLineString([[(0, 0), (5, 0)], [(179, 0), (181, 0)]]))
    assert len(many.geoms) == 3


def test_polygons_and_points_are_cut_at_the_antimeridian():
    cut = geo.split_antimeridian(box(170, 0, 190, 10))
    assert isinstance(cut, MultiPolygon)
    assert cut.area == pytest.approx(200)
    assert np.abs(get_coordinates(cut)[:, 0]).max() == 180
    assert geo.split_antimeridian(Point(190, 5)) == Point(-170, 5)
    assert geo.split_antimeridian(LineString()).is_empty


def countries():
    shapes = [box(0, 0, 10, 10), box(10, 0, 20, 10), MultiPolygon([box(170, 0, 180, 5), box(-180, 0, -175, 5)])]
    return gpd.GeoDataFrame({"geometry": shapes}, index=["AAA", "BBB", "CCC"], crs=geo.CRS)


def test_country_of_a_point():
    asked = [(5, 5), (15, 5), (-178, 1), (182, 1), (40, 40), (10, 5)]
    assert geo.country_of(asked, countries()) == ["AAA", "BBB", "CCC", "CCC", "", "AAA"]
    assert geo.country_of([(20.1, 5), (25, 5)], countries(), max_km=30) == ["BBB", ""]
    assert geo.country_of(np.empty((0, 2)), countries()) == []


def test_distance_to_a_country():
    assert geo.distance_km(5, 5, box(0, 0, 10, 10)) == 0
    assert geo.distance_km(21, 5, box(10, 0, 20, 10)) == pytest.approx(geo.geodesic_km(20, 5, 21, 5), rel=0.01)
    assert geo.distance_km(20, 61, box(10, 50, 20, 60)) == pytest.approx(111.4, rel=0.01)


def test_distance_to_far_places_and_over_the_antimeridian():
    assert geo.distance_km(100, 5, box(0, 0, 10, 10)) > 5000
    assert geo.distance_km(110, 41.8, box(-130, 20, -70, 50)) > 5000
    assert geo.distance_km(0, 0, box(170, -10, 180, 10)) > 5000
    assert geo.distance_km(179, 0, box(-179, -10, -170, 10)) == pytest.approx(222.6, rel=0.01)
    assert geo.distance_km(-179, 0, box(170, -10, 179, 10)) == pytest.approx(222.6, rel=0.01)


def test_nearest_point_over_the_antimeridian_and_the_pole():
    index = geo.NearestIndex([179.9, 0, 90], [0, 0, 89.9])
    where, km = index.query([-179.9, -90], [0, 89.9])
    assert where.tolist() == [0, 2]
    assert km == pytest.approx([22.24, 22.24], abs=0.05)
    assert index.within(-179.9, 0, 30) == [0]
    assert index.within(0, 0, 0.1) == [1]


@pytest.mark.parametrize("text", ["", "a,b", "1", "1,2,3", "nan,0", "inf,0", "0,91", "500,0", "1;2"])
def test_bad_places_are_none(text):
    assert geo.parse_lonlat(text) is None


def test_good_places():
    assert geo.parse_lonlat("-115.53, 35.48") == (-115.53, 35.48)
    assert geo.parse_lonlat("190,0") == (-170, 0)
