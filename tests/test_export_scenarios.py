"""Every layer of ten scenarios of the shipped world as GeoJSON, judged by RFC 7946, and as GeoPackage by GDAL."""

from pathlib import Path
from typing import Any

import pyogrio
import pytest
import rfc7946

from atlas import export
from atlas.export_chokepoints import chokepoints_geojson
from atlas.losses import lens
from atlas.singles import singles

# Halts of every kind, passages that lie across the antimeridian, scenarios with much more than halts.
SCENARIOS: tuple[tuple[tuple[str, ...], str | None], ...] = (
    ((), None),
    (("country:CHN/magnet",), None),
    (("port:USLAX", "passage:panama", "country:CHN:USA@0.5"), None),
    (("passage:bering", "passage:la-perouse", "passage:tsugaru"), None),
    ((), "april-2025"),
    ((), "malacca-and-suez"),
    ((), "china-magnets-us-transshipment"),
    ((), "red-sea-war-risk-2024"),
    ((), "new-us-magnets-and-metal"),
    ((), "stuttgart-buyer"),
)
LENSES = (  # chokepoints know no halts: ten blocs, elements and commodities
    ("us-allies", "magnet", "all"), ("us-allies", "magnet", "Dy"), ("us-allies", "oxide", "Nd"), ("eu27", "magnet", "all"),
    ("quad", "magnet", "Tb"), ("g7", "metal", "NdPr"), ("prc", "concentrate", "all"), ("brics", "magnet", "all"),
    ("nato", "metal", "Dy"), ("five-eyes", "oxide", "Pr"),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("halts", "scenario"), SCENARIOS, ids=lambda v: v if isinstance(v, str) else "+".join(v or ()))
def test_every_layer_is_strict_geojson_and_gdal_reads_the_package(
    study: Any, tmp_path: Path, halts: tuple[str, ...], scenario: str | None
) -> None:
    outcome = study.solve(halts, scenario)
    package = tmp_path / "all.gpkg"
    export.write_layer(outcome, "all", package)
    assert package.stat().st_size < 15e6
    for layer in export.LAYERS:
        table = export.layer_table(outcome, layer)
        text = export.layer_text(outcome, layer)
        assert rfc7946.problems(text) == [], layer
        assert text.count('{"type":"Feature",') == len(table) > 20
        info = pyogrio.read_info(package, layer=layer, force_total_bounds=True)
        used = len(table) if layer != "network" else int(((table["baseline_t"] > 0) | (table["halted_t"] > 0)).sum())
        assert info["features"] == used
        assert info["crs"] == "EPSG:4326"
        west, south, east, north = info["total_bounds"]
        assert -180 <= west < east <= 180
        assert -90 <= south < north <= 90


@pytest.mark.slow
def test_chokepoints_are_strict_geojson_through_ten_lenses(study: Any) -> None:
    found = singles(study)
    for bloc, commodity, element in LENSES:
        text = chokepoints_geojson(found, lens(study.ground.stage.world, study.blocs, bloc, commodity, element))
        assert rfc7946.problems(text) == [], (bloc, commodity, element)
