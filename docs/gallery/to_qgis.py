"""Flows into QGIS, ArcGIS or any other GIS.

`write` takes its format from the name: a GeoPackage with all layers, or one layer as GeoJSON, CSV and more. What is
read back is what a GIS sees: lines carry tonnes, so their width can be styled.
"""

import tempfile
from pathlib import Path

import geopandas as gpd
import matplotlib.pyplot as plt

import atlas

study = atlas.open()
with tempfile.TemporaryDirectory() as folder:
    file = study.run(halts=["passage:malacca"]).write(Path(folder, "malacca.gpkg"))
    flows = gpd.read_file(file, layer="flows", where="state = 'halted' and tonnes > 500")
axes = study.countries.plot(color="#e9e6df", edgecolor="#cfcabd", linewidth=0.3, figsize=(7, 6))
for colour, (commodity, part) in enumerate(flows.groupby("commodity")):
    part.plot(ax=axes, color=f"C{colour}", linewidth=(part["tonnes"] / 2500).clip(0.4, 6))
    axes.plot([], color=f"C{colour}", linewidth=3, label=commodity)
axes.legend(loc="lower left")
axes.set(xlim=(60, 160), ylim=(-42, 55), title="Flows over 500 t a year with Malacca closed")
axes.set_axis_off()
plt.tight_layout()
plt.savefig("to_qgis.png")
