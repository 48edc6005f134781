"""Opens a project or the layers of a GeoPackage in QGIS without a display and says what it saw, as JSON.

Run by the Python that has QGIS, which is not the one of the tests: `qgis_look.py project PROJECT FOLDER` or
`qgis_look.py layers GEOPACKAGE FOLDER`. Pictures go into FOLDER.
"""

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsLayoutExporter,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

WORLD = QgsRectangle(-17.3e6, -8.4e6, 17.3e6, 8.4e6)


def drawn(layers: list[Any], crs: Any, path: Path) -> dict[str, Any]:
    """Draw layers over the world; return the scale, the errors, and how many colours the picture has."""
    s = QgsMapSettings()
    s.setDestinationCrs(crs)
    s.setLayers(layers)
    s.setOutputSize(QSize(1600, 780))
    s.setOutputDpi(120)
    s.setExtent(WORLD)
    s.setBackgroundColor(QColor("white"))
    job = QgsMapRendererParallelJob(s)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    image.save(str(path))
    inked = {image.pixelColor(x, y).name() for x in range(0, 1600, 2) for y in range(0, 780, 2)}
    return {"scale": round(s.scale()), "errors": [e.message for e in job.errors()], "colours": sorted(inked)}


def seen(layer: Any) -> dict[str, Any]:
    """Return what QGIS makes of a layer."""
    if layer.geometryType() == QgsWkbTypes.NullGeometry:
        return {"table": True, "valid": layer.isValid(), "count": layer.featureCount()}
    renderer = layer.renderer()
    rules = renderer.rootRule().children() if renderer.type() == "RuleRenderer" else []
    fields = layer.fields()
    return {
        "valid": layer.isValid(), "count": layer.featureCount(), "crs": layer.crs().authid(),
        "geometry": int(layer.geometryType()), "renderer": renderer.type(), "rules": [r.label() for r in rules],
        "broken": [r.filterExpression() for r in rules if r.filter() and r.filter().hasParserError()],
        "symbols": all(r.symbol() is not None and r.symbol().symbolLayerCount() for r in rules), "labels": layer.labelsEnabled(),
        "aliases": {f: layer.attributeAlias(k) for k, f in enumerate(fields.names())},
        "hidden": [c.name for c in layer.attributeTableConfig().columns() if c.hidden],
    }  # fmt: skip


def project(name: str, folder: Path) -> dict[str, Any]:
    """Open a project and draw each of its themes and layouts."""
    p = QgsProject.instance()
    told: dict[str, Any] = {"read": p.read(name), "title": p.title(), "crs": p.crs().authid(), "abstract": p.metadata().abstract()}
    told["layers"] = {k: seen(v) for k, v in p.mapLayers().items()}
    groups = p.layerTreeRoot().findGroups(True)
    told["groups"] = [g.name() for g in groups]
    told["shown"] = sorted(n.layerId() for n in p.layerTreeRoot().findLayers() if n.isVisible())
    themes = p.mapThemeCollection()
    told["themes"] = {t: drawn(themes.mapThemeVisibleLayers(t), p.crs(), folder / f"{t}.png") for t in themes.mapThemes()}
    told["layouts"] = {}
    for layout in p.layoutManager().printLayouts():
        how = QgsLayoutExporter.ImageExportSettings()
        how.dpi = 60
        path = folder / f"{layout.name().split(',')[0]}-sheet.png"
        done = QgsLayoutExporter(layout).exportToImage(str(path), how)
        told["layouts"][layout.name()] = done == QgsLayoutExporter.Success and path.stat().st_size
    told["relations"] = {r.name(): r.isValid() for r in p.relationManager().relations().values()}
    told["bookmarks"] = [b.name() for b in p.bookmarkManager().bookmarks()]
    return told


def layers(package: str, folder: Path) -> dict[str, Any]:
    """Open each table of a GeoPackage as a new layer, as dragging it into QGIS does, then with its SLD."""
    crs = QgsCoordinateReferenceSystem("EPSG:8857")
    told = {}
    with closing(sqlite3.connect(package)) as file:
        rows = file.execute("SELECT f_table_name, styleSLD FROM layer_styles WHERE useAsDefault ORDER BY id").fetchall()
    for name, sld in rows:
        layer = QgsVectorLayer(f"{package}|layername={name}", name, "ogr")
        one = seen(layer)
        one["drawn"] = drawn([layer], crs, folder / f"{name}.png")
        path = folder / f"{name}.sld"
        path.write_text(sld, encoding="utf-8")
        message, loaded = layer.loadSldStyle(str(path))
        one["sld"] = {"loaded": loaded, "message": message, **seen(layer), "drawn": drawn([layer], crs, folder / f"{name}-sld.png")}
        told[name] = one
    return told


def main() -> None:
    """Do what the arguments say and print it."""
    QgsApplication.setPrefixPath("/usr", True)
    app = QgsApplication([], False)
    app.initQgis()
    log: list[str] = []
    QgsApplication.messageLog().messageReceived.connect(lambda text, tag, level: log.append(f"{tag}: {text}") if level else None)
    what, name, folder = sys.argv[1:]
    told = {"project": project, "layers": layers}[what](name, Path(folder))
    sys.stdout.write(json.dumps({**told, "log": log}))
    sys.stdout.flush()
    os._exit(0)  # QGIS takes down what Python still holds, and falls over it


main()
