"""Exports of the real atlas: every layer of several halts, read back by GDAL, added up and verified."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyogrio
import pytest
import rfc7946

from atlas import export, stored
from atlas.errors import BadInput

HALTS: tuple[tuple[str, ...], ...] = (
    (),
    ("country:CHN/magnet",),
    ("port:USLAX", "passage:panama", "country:CHN:USA@0.5"),
)


@pytest.mark.parametrize("halts", HALTS[1:2], ids="+".join)  # ten more: test_export_scenarios
def test_every_layer_of_a_halt_is_strict_geojson(study: Any, halts: tuple[str, ...]) -> None:
    outcome = study.solve(halts)
    for layer in ("facilities", "ports", "passages", "changes"):  # flows and more halts: test_export_scenarios
        text = export.layer_text(outcome, layer)
        assert rfc7946.problems(text) == []
        assert text.count('{"type":"Feature",') > 20


def test_lanes_have_the_same_id_in_every_halt(study: Any) -> None:
    known: dict[str, tuple[Any, ...]] = {}
    for halts in HALTS:
        table = export.layer_table(study.solve(halts), "changes")
        assert not any(i.endswith("-2") for i in table.index)  # no id had to be told apart by its order
        for row in table.reset_index().itertuples():
            lane = (row.from_id, row.to_id, row.commodity, row.element, row.grade)
            assert known.setdefault(row.id, lane) == lane


@pytest.mark.slow
def test_pacific_flows_are_split(study: Any) -> None:
    doc = export.layer_geojson(study.solve(), "changes")
    crossing = [f for f in doc["features"] if f["geometry"] and f["bbox"][0] > f["bbox"][2]]
    assert crossing
    assert all(f["geometry"]["type"] == "MultiLineString" for f in crossing)


@pytest.mark.slow
def test_the_network_is_strict_geojson_and_gdal_reads_it(study: Any, tmp_path: Path) -> None:
    export.write_layer(study.layers, "network", tmp_path / "n.geojson")
    assert rfc7946.problems((tmp_path / "n.geojson").read_text(encoding="utf-8")) == []
    info = pyogrio.read_info(tmp_path / "n.geojson")
    assert info["features"] > 10_000
    passages = set(export.layer_table(study.layers, "network")["passages"])
    assert {"suez", "malacca", "hormuz"} <= {p for joined in passages for p in joined.split(";")}


def test_a_stored_result_is_whole_adds_up_and_verifies(study: Any, tmp_path: Path) -> None:
    outcome = study.solve(("country:CHN/magnet",))
    for name in ("a", "b"):
        export.write_outcome(outcome, tmp_path / name, page="<!doctype html>\n")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    flows = pd.read_csv(tmp_path / "a" / "flows.csv", keep_default_na=False)
    for state in ("baseline", "halted"):
        arrived = flows[(flows["state"] == state) & (flows["commodity"] == "magnet")]["tonnes"].sum()
        assert np.isclose(arrived, outcome.summary[state]["supplied_t"], rtol=1e-5)
    left = flows[(flows["state"] == "halted") & (flows["commodity"] == "magnet") & (flows["from_country"] == "CHN")]
    assert set(left["to_country"]) == {"CHN"}
    for layer in ("facilities", "ports", "passages", "flows", "changes"):
        info = pyogrio.read_info(tmp_path / "a" / "atlas.gpkg", layer=layer)
        assert info["features"] == len(export.layer_table(outcome, layer))
        assert info["crs"] == "EPSG:4326"
    found = stored.check_folder(tmp_path / "a", study.layers)
    assert found["problems"] == []
    assert found["ok"]


def test_a_tampered_result_does_not_verify(study: Any, tmp_path: Path) -> None:
    export.write_outcome(study.solve(("passage:malacca",)), tmp_path / "r", page="")
    flows = pd.read_csv(tmp_path / "r" / "flows.csv", keep_default_na=False, dtype=str)
    metal = flows.index[(flows["state"] == "halted") & (flows["commodity"] == "metal")][0]
    flows.loc[metal, "tonnes"] = str(float(flows.loc[metal, "tonnes"]) * 1.01 + 1)
    flows.to_csv(tmp_path / "r" / "flows.csv", index=False)
    found = stored.check_folder(tmp_path / "r", study.layers)
    assert not found["ok"]
    assert any(str(flows.loc[metal, "to_id"]) in p for p in found["problems"])
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    summary["halted"]["objective_usd"] *= 1.001
    (tmp_path / "r" / "summary.json").write_text(json.dumps(summary))
    assert any("objective_usd" in p for p in stored.check_folder(tmp_path / "r", study.layers)["problems"])
    with np.load(tmp_path / "r" / "certificate.npz") as held:
        arrays = dict(held)
    arrays["halted_y"] = arrays["halted_y"] * 0.5
    np.savez(tmp_path / "r" / "certificate.npz", **arrays)
    assert any("halted: gap" in p or "dual_residual" in p for p in stored.check_folder(tmp_path / "r", study.layers)["problems"])
    del arrays["halted_x"]
    np.savez(tmp_path / "r" / "certificate.npz", **arrays)
    with pytest.raises(BadInput, match="certificate"):
        stored.check_folder(tmp_path / "r", study.layers)
