"""Halts side by side.

`compare` gives the figures of two to four answers in one table, by group and key.
"""

import matplotlib.pyplot as plt

import atlas

study = atlas.open()
halts = ["country:CHN:USA/magnet", "country:CHN:eu27/magnet", "country:CHN/magnet"]
first, *others = [study.run(halts=[halt]) for halt in halts]
table = first.compare(*others)
short = table.loc["shortage_by_country", halts]
short.index = short.index.map(study.countries["name"])
worst = short.loc[short.sum(axis=1).nlargest(8).index]
axes = worst.plot.barh(figsize=(8, 4.4), color=["#e69f00", "#56b4e9", "#0b6fa4"])
axes.invert_yaxis()
axes.set(xlabel="magnets that stay short, t/year", ylabel="", title="Whom China sells no magnets, and who goes short")
plt.tight_layout()
plt.savefig("compare.png")
