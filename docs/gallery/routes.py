"""Routes with straits closed, on one map.

`route` takes ids or (lon, lat); `close` takes passages, ports and borders. `geometry` is a line in EPSG:4326.
"""

import geopandas as gpd
import matplotlib.pyplot as plt

import atlas

study = atlas.open()
closed = {"Nothing": [], "Malacca": ["malacca"], "Suez": ["suez"]}
ways = {name: study.route("other-ningbo-magnets", "DEHAM", close=ids) for name, ids in closed.items()}
names = [f"{name} closed: {way.distance_km:,.0f} km, {way.days:.1f} days" for name, way in ways.items()]
lines = gpd.GeoDataFrame({"way": names}, geometry=[way.geometry for way in ways.values()], crs="EPSG:4326")
axes = study.countries.plot(color="#e9e6df", edgecolor="#cfcabd", linewidth=0.3, figsize=(9, 5.4))
lines.plot(ax=axes, column="way", categorical=True, categories=names, linewidth=[5, 2.5, 2], legend=True)
axes.set(xlim=(-30, 130), ylim=(-42, 62), title="From the magnet makers of Ningbo to Hamburg")
axes.set_axis_off()
plt.tight_layout()
plt.savefig("routes.png")
