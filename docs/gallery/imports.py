"""Who a country imports from, before and after.

`imports` has a row for each importer, commodity, element and exporter; the exporter is the country of the last plant.
"""

import matplotlib.pyplot as plt

import atlas

study = atlas.open()
answer = study.run(halts=["country:CHN/magnet"])
bought = answer.imports.query("importer == 'USA' and commodity == 'magnet' and (baseline_t > 5 or halted_t > 5)")
bought["exporter"] = bought["exporter"].map(study.countries["name"])
bought = bought.sort_values("baseline_t", ascending=False)
axes = bought.plot.barh(x="exporter", y=["baseline_t", "halted_t"], color=["#9aa5b1", "#0b6fa4"], figsize=(8, 3.6))
axes.invert_yaxis()
axes.legend(["baseline", "halted"], loc="lower right")
axes.set(xlabel="magnets, t/year", ylabel="", title="What the United States import once China sells no magnets")
plt.tight_layout()
plt.savefig("imports.png")
