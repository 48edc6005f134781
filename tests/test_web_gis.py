"""Layers for GIS over HTTP: every form of every layer with its type and name, the same file as the command writes."""

import io
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
from small_study import small_study

from atlas import export
from atlas.config import settings
from atlas.web import create_app

TYPES = {
    "geojson": "application/geo+json", "gpkg": "application/geopackage+sqlite3", "fgb": "application/flatgeobuf",
    "parquet": "application/vnd.apache.parquet", "csv": "text/csv",
}  # fmt: skip
HALT = "halt=country:CHN/magnet"


@pytest.fixture(scope="module")
def client() -> Any:
    return create_app(small_study(), settings({}, solves_per_minute=0, requests_per_minute=0)).test_client()


@pytest.mark.parametrize("form", TYPES)
def test_every_form_has_its_type_its_name_and_a_tag(client: Any, form: str) -> None:
    for layer in ("facilities", "changes"):
        answer = client.get(f"/api/layers/{layer}.{form}?{HALT}")
        assert answer.status_code == 200
        assert answer.mimetype == TYPES[form]
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{layer}.{form}"'
        again = client.get(f"/api/layers/{layer}.{form}?{HALT}", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304


def test_gdal_and_arrow_read_what_is_sent(client: Any, tmp_path: Path) -> None:
    wanted = export.layer_table(small_study().solve(("country:CHN/magnet",)), "changes")
    for form in ("gpkg", "fgb", "geojson"):
        path = tmp_path / f"changes.{form}"
        path.write_bytes(client.get(f"/api/layers/changes.{form}?{HALT}").data)
        found = pyogrio.read_dataframe(path, layer="changes" if form == "gpkg" else None)
        assert sorted(found["id"]) == sorted(wanted.index), form
    found = gpd.read_parquet(io.BytesIO(client.get(f"/api/layers/changes.parquet?{HALT}").data))
    assert found["id"].tolist() == wanted.index.tolist()


def test_all_layers_in_one_package(client: Any, tmp_path: Path) -> None:
    answer = client.get(f"/api/layers/all.gpkg?{HALT}")
    assert answer.status_code == 200
    assert 'filename="all.gpkg"' in answer.headers["Content-Disposition"]
    export.write_layer(small_study().solve(("country:CHN/magnet",)), "all", tmp_path / "all.gpkg")
    assert answer.data == (tmp_path / "all.gpkg").read_bytes()
    held = set(pyogrio.list_layers(tmp_path / "all.gpkg")[:, 0])
    assert {*export.LAYERS, "sources"} <= held


def test_what_is_not_there_is_404_and_a_bad_halt_400(client: Any) -> None:
    for path in ("flow.gpkg", "all.fgb", "all.geojson", "flows.shp"):
        assert client.get(f"/api/layers/{path}").status_code == 404, path
    assert "flows" in client.get("/api/layers/flow.gpkg").get_json()["error"]
    assert client.get("/api/layers/flows.gpkg?halt=country:CHM").status_code == 400
    assert client.get("/api/layers/flows.gpkg?halts=country:CHN").status_code == 400


def test_the_page_of_data_offers_every_form(client: Any) -> None:
    page = client.get("/data").text
    for layer in export.LAYERS:
        for form in TYPES:
            assert f'href="/api/layers/{layer}.{form}"' in page
    assert 'href="/api/layers/all.gpkg"' in page
