"""How much of what a bloc buys is made inside it, before and after.

`key_figures` has the figures that tell an answer at a glance, by measure.
"""

import matplotlib.pyplot as plt

import atlas

study = atlas.open()
answer = study.run(scenario="china-cuts-off-allies", bloc="eu27")
shares = answer.key_figures.filter(like="bloc_origin_share", axis="index")[["baseline", "halted"]] * 100
shares.index = shares.index.str.removeprefix("bloc_origin_share/")
axes = shares.plot.barh(color=["#9aa5b1", "#0b6fa4"], figsize=(8, 3.6))
axes.invert_yaxis()
axes.set(xlabel="% of the magnets delivered to the EU", ylabel="")
axes.set_title("Made inside the EU, if China sells the allies nothing")
plt.tight_layout()
plt.savefig("bloc_shares.png")
