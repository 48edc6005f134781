"""Facilities near a place, with GeoPandas.

Tables with places are GeoDataFrames in EPSG:4326; distances need a projection of their own.
"""

import geopandas as gpd
import matplotlib.pyplot as plt

import atlas

study = atlas.open()
europe = study.facilities.to_crs("EPSG:3035")
port = study.ports.loc[["NLRTM"]].to_crs("EPSG:3035").geometry.iloc[0]
near = europe.assign(distance_km=europe.distance(port) / 1000).query("distance_km < 700").sort_values("distance_km")
axes = study.countries.to_crs("EPSG:3035").plot(color="#e9e6df", edgecolor="#cfcabd", figsize=(7, 6))
gpd.GeoSeries([port.buffer(700_000)], crs="EPSG:3035").boundary.plot(ax=axes, color="#9aa5b1", linestyle="--")
near.plot(ax=axes, column="stage", legend=True, legend_kwds={"loc": "lower left"}, markersize=40, edgecolor="white")
for name, point in near.drop_duplicates("site").set_index("name").geometry.items():
    side = "right" if point.x < port.x - 450_000 else "left"
    axes.annotate(f"  {name.split(',')[0]}  ", (point.x, point.y), ha=side, va="center", fontsize=7)
axes.set(xlim=(port.x - 8e5, port.x + 8e5), ylim=(port.y - 8e5, port.y + 8e5), title="Within 700 km of Rotterdam")
axes.set_axis_off()
plt.tight_layout()
plt.savefig("near_a_port.png")
