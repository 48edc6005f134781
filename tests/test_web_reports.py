"""Reports over HTTP: the form, the work in the background, the files, what is refused."""

from typing import Any

import pytest
from fake_outcome import fake_study

from atlas.config import settings
from atlas.report import Made
from atlas.web import create_app


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(study: Any, report: Any, html_only: bool, progress: Any) -> Made:
        page = f"<!doctype html><style>p{{}}</style><p>{report.name} {dict(report.parameters)}"
        return Made("A title <&>", {"report.html": page.encode(), "report.pdf": b"%PDF-", "figures.json": b"{}", "results.json": b"{}"})

    monkeypatch.setattr("atlas.web_reports.reports.make", made)
    return create_app(fake_study(), settings({}, solver_process=False)).test_client()


ADDRESS = "report=brief&halt=country:CHN/magnet"


def test_the_form_offers_every_report(client: Any) -> None:
    text = client.get("/reports?halt=country:CHN").text
    for name in ("brief", "country", "passages"):
        assert f'name="report" value="{name}"' in text
    assert 'value="country:CHN"' in text


def test_a_report_stands_at_its_address_with_its_files(client: Any) -> None:
    page = client.get(f"/reports?{ADDRESS}")
    assert page.status_code == 200
    assert "A title &lt;&amp;&gt;" in page.text
    told = client.get(f"/api/reports?{ADDRESS}").get_json()
    assert [f["name"] for f in told["files"]] == ["report.html", "report.pdf", "figures.json", "results.json"]
    for f in told["files"]:
        answer = client.get(f["address"])
        assert answer.status_code == 200
        assert len(answer.data) == f["bytes"]
    whole = client.get(told["files"][0]["address"])
    assert "sha256-" in whole.headers["Content-Security-Policy"]
    assert "country:CHN/magnet" in whole.text
    assert client.get(told["files"][1]["address"]).content_type == "application/pdf"


def test_what_is_wrong_is_refused_with_all_its_problems(client: Any) -> None:
    told = client.get("/api/reports?report=breif&halt=country:XXX&bloc=nowhere")
    assert told.status_code == 400
    assert len(told.get_json()["problems"]) == 3
    assert client.get("/api/reports").status_code == 400
    assert client.get("/api/reports?report=brief").status_code == 400
    assert client.get(f"/reports?{ADDRESS}&nothing=1").status_code == 400
    assert client.get("/reports/passwd?" + ADDRESS).status_code == 404


def test_programs_start_it_as_a_job(client: Any) -> None:
    started = client.post("/api/jobs", json={"kind": "report", "report": "country", "country": "DEU"})
    assert started.status_code == 202
    assert started.get_json()["address"] == "/reports?country=DEU&report=country"
    wrong = client.post("/api/jobs", json={"kind": "report", "report": "country", "country": "DUE"})
    assert wrong.status_code == 400
