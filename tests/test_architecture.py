"""The structure of the design: who may import whom, small files, nothing read at import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "atlas"
LINES_AT_MOST = 450
NAMES_REFUSED = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core"}

# Row of the design's table -> its modules, those first that others of the row import.
# A module imports only from rows above its own, or from modules further left in its own row.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "background", "progress_bar"),
    ("config",),
    ("chain", "chain_words"),
    ("schema",),
    ("geo", "shortest"),
    ("finding", "duty", "layer_files", "layer_check", "layers"),
    ("land_graph", "network_edges", "local_access", "land_joins", "sea_joins", "network", "trunk_graph", "overpass", "local_exits", "local_roads"),
    ("way", "alternatives", "route_finder", "routing", "route_check"),
    ("world", "solver", "solver_process", "model", "lane_routes", "calibration", "frame", "fair"),
    ("balances", "lane_rules", "recount", "certificate"),
    ("halt", "halt_words", "scenario_rows", "scenario_tables", "scenario", "restriction", "detour", "solving", "readback", "prices", "confidence", "draw", "summary", "changed_layers", "buyers", "releases", "stage", "outcome", "memory"),
    ("halt_check", "stored"),
    ("study",),
    ("closure", "published", "validation"),
    ("candidates", "losses", "many_solves", "journal", "singles", "set_values", "worst_sets", "chokepoints", "minimum_cut", "chokepoint_words", "trace_arcs", "trace_target", "trace_shares", "trace_bounds", "trace", "trace_paths", "trace_words", "allied", "binding", "frontier", "shadow", "projects", "portfolio", "fixes", "concentration", "compare", "compare_words", "facility_filter", "name_suggest", "buyer_risk", "buyer_words"),
    ("page_text", "export_files", "export_fields", "export_geojson", "export_csv", "answer_tables", "export_network", "export_tables", "export_formats", "export_gpkg", "halted_places", "render_style", "render_arcs", "export_symbols", "export_looks", "export_qml_symbols", "export_qml_labels", "export_qml", "export_sld", "export_stretches", "export_styles", "export_qgis_layout", "export_qgis", "export", "export_route", "export_chokepoints", "render_ink", "answer_words", "render_cards", "render_words", "render_data", "render_map", "render", "render_route_words", "render_route", "render_validation", "render_sankey", "render_trace", "export_trace", "frontier_words", "render_frontier", "render_projects", "render_concentration", "render_chokepoints", "render_compare", "thing_lanes", "known_losses", "facility_facts", "place_facts", "render_explore", "thing_words", "render_buyer"),
    ("figure_fonts", "figure_ink", "figure_frame", "figure_flows", "figure_land", "figure_lines", "figure_places", "figure_labels", "figure_words", "figure_names", "figure_legend", "figure_panel", "figure_map", "figure_save", "figure_charts"),
    ("notebook_tables", "notebook_html", "notebook_map", "notebook_figure", "notebook_routes", "notebook_answer", "notebook"),
    ("report_tree", "report_filters", "report_text", "report_file", "report_outcome", "report_country", "report_results", "report_sources", "report_map", "report_build", "report_html", "report_typst", "report_check", "report"),
    ("web_errors", "web_documents", "web_headers", "web_log", "web_metrics", "web_limits", "web_server", "web_query", "web_route_query", "web_answers", "web_formats", "web_api", "web_layers", "web_scenarios", "web_builder", "web_pages", "web_map", "web_figure", "web_nearby", "web_route", "web_validate", "web_job_queue", "web_jobs", "web_trace", "web_frontier", "web_projects", "web_concentration", "web_chokepoints", "web_reports", "web_compare", "web_explore", "web_search", "web_things", "web_buyer", "web_jobs_pages", "openapi_schemas", "openapi_findings", "openapi_explore", "openapi_things", "openapi_parameters", "openapi_scenario", "openapi_paths", "openapi_page", "web_openapi", "web_ogc_query", "web_ogc_address", "web_ogc_features", "web_ogc_documents", "web_ogc_openapi", "web_ogc_pages", "web_ogc", "web"),
    ("cli_text", "cli_about", "cli_roads", "cli_shell", "cli_validate", "cli_trace", "cli_frontier", "cli_projects", "cli_concentration", "cli_chokepoints", "cli_export", "cli_serve", "cli_map", "cli_report", "own_layers", "own_template", "cli_check", "cli"),
    ("build_countries", "build_overlay", "build_water", "build_sea", "build_lanes", "build_gaps", "build_land", "build_network", "build_fonts"),  # commands of their own, for layers/
    ("__main__",),
)
RANK = {name: (row, place) for row, names in enumerate(ROWS) for place, name in enumerate(names)}
MODULES = sorted(p.stem for p in PACKAGE.glob("*.py") if p.stem != "__init__")

# Packages that only the build of layers/network/ may use, and packages of other issues.
BUILD_ONLY = {"searoute", "scgraph", "scgraph_data"}


def imports(name: str) -> set[str]:
    """Return the full names of everything a module imports, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            found.update(f"{node.module}.{a.name}" for a in node.names)
    return found


def test_every_module_has_its_row() -> None:
    assert not [m for m in MODULES if m not in RANK], "new modules: give them a row in ROWS"


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_only_from_above(name: str) -> None:
    inside = {i.split(".")[1] for i in imports(name) if i.startswith("atlas.")} & set(MODULES)
    below = sorted(i for i in inside if RANK[i] >= RANK[name])
    assert not below, f"{name} imports {below}, which stand beside or below it"


@pytest.mark.parametrize("name", MODULES)
def test_module_is_small_and_says_what_it_is(name: str) -> None:
    text = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES_AT_MOST
    assert name not in NAMES_REFUSED
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "the module says what it is for"
    silent = [
        n.name
        for n in tree.body
        if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_") and not ast.get_docstring(n)
    ]
    assert not silent, f"public, without a docstring: {silent}"


@pytest.mark.parametrize("name", MODULES)
def test_only_build_commands_use_the_raw_graphs(name: str) -> None:
    if not name.startswith("build_"):
        assert not {i.split(".")[0] for i in imports(name)} & BUILD_ONLY


def test_projected_crs_is_known_in_one_place() -> None:
    users = {m for m in MODULES if any(i.split(".")[0] == "pyproj" for i in imports(m))}
    assert users <= {"geo", "cli_about"}


def test_nothing_is_read_at_import() -> None:
    """Import every module in a process that refuses to open the project's data."""
    script = """
import sys
def watch(event, args):
    if event == "open" and isinstance(args[0], str) and args[0].startswith(tuple(sys.argv[1:3])):
        raise RuntimeError(f"read at import: {args[0]}")
sys.addaudithook(watch)
import importlib
for name in sys.argv[3:]:
    importlib.import_module(f"atlas.{name}")
"""
    data = [str(PACKAGE.parent / "layers"), str(PACKAGE.parent / "templates")]
    names = [m for m in MODULES if not m.startswith("build_") and m != "__main__"]
    done = subprocess.run([sys.executable, "-c", script, *data, *names], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_commands_start_without_heavy_modules() -> None:
    """`atlas --help` must not wait for pandas or GDAL."""
    script = "import sys, atlas.cli; print([m for m in ('pandas', 'numpy', 'geopandas', 'folium', 'flask', 'networkx', 'osmnx', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
