"""A world with a plant of your own.

A folder with rows like those of `layers/` is laid over the shipped world by id; `atlas check` says what is wrong in it.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import atlas

shipped = atlas.open()
row = pd.read_csv(Path(shipped.layers.directories[-1], "facilities.csv"), dtype=str).query("id == 'vac-hanau'")
row = row.assign(id="hanau-two", site="hanau-two", name="Hanau two", capacity_t="5000", output_t="5000")
with tempfile.TemporaryDirectory() as folder:
    row.to_csv(Path(folder, "facilities.csv"), index=False)
    own = atlas.open(folder)
short = {name: study.run(halts=["country:CHN/magnet"]).shortage for name, study in (("shipped", shipped), ("own", own))}
table = pd.DataFrame({name: s.groupby("country")["halted_t"].sum() for name, s in short.items()}).nlargest(8, "shipped")
axes = table.rename(shipped.countries["name"]).plot.barh(color=["#9aa5b1", "#0b6fa4"], figsize=(8, 4.4))
axes.invert_yaxis()
axes.legend(["shipped world", "with 5,000 t more at Hanau"])
axes.set(xlabel="magnets that stay short, t/year", ylabel="", title="What one plant more would change")
plt.tight_layout()
plt.savefig("own_layers.png")
