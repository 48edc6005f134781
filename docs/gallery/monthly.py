"""A scenario month by month.

A scenario's rows have dates; `on` picks the day. Each answer is a rate a year, as if that day lasted.
"""

import matplotlib.pyplot as plt
import pandas as pd

import atlas

study = atlas.open()
days = pd.date_range("2025-02-01", "2025-10-01", freq="MS")
answers = {day: study.run(scenario="april-2025", on=day.date()) for day in days}
bought = {day: a.imports.query("importer == 'DEU' and commodity == 'magnet'") for day, a in answers.items()}
table = pd.DataFrame({day.strftime("%b %Y"): t.groupby("exporter")["halted_t"].sum() for day, t in bought.items()}).T
table = table.fillna(0)[table.max().nlargest(5).index].rename(columns=study.countries["name"])
axes = table.plot.bar(stacked=True, figsize=(8, 4.2), rot=30, colormap="cividis")
axes.set(ylabel="t/year, as if the day lasted", title="Germany's imports of magnets under the licences of April 2025")
plt.tight_layout()
plt.savefig("monthly.png")
