"""Reads the collections of OGC API - Features in QGIS without a display and says what it saw, as JSON.

Run by the Python that has QGIS: `qgis_ogc.py ADDRESS COLLECTION...`.
"""

import json
import os
import sys
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import QgsApplication, QgsDataSourceUri, QgsFeatureRequest, QgsRectangle, QgsVectorLayer, QgsWkbTypes


def seen(address: str, name: str) -> dict[str, Any]:
    """Return what QGIS makes of a collection: all of it, and what is in a box over East Asia."""
    uri = QgsDataSourceUri()
    uri.setParam("url", address)
    uri.setParam("typename", name)
    layer = QgsVectorLayer(uri.uri(False), name, "OAPIF")
    if not layer.isValid():
        return {"valid": False}
    box = QgsFeatureRequest(QgsRectangle(100.0, 20.0, 125.0, 45.0))
    return {
        "valid": True,
        "crs": layer.crs().authid(),
        "type": QgsWkbTypes.displayString(layer.wkbType()),
        "fields": layer.fields().names(),
        "ids": [f["id"] for f in layer.getFeatures()],
        "in_box": sorted(f["id"] for f in layer.getFeatures(box)),
    }


def main() -> None:
    """Look at each collection."""
    app = QgsApplication([], False)
    app.initQgis()
    address, *names = sys.argv[1:]
    sys.stdout.write(json.dumps({n: seen(address, n) for n in names}))
    sys.stdout.flush()
    os._exit(0)  # threads that read pages may outlive the application, which then ends badly


main()
