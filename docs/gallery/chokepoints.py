"""What costs a bloc most to lose, one thing at a time.

The first call solves the world some 400 times, which takes a few minutes; the solves are kept, so the next call takes
seconds, for any bloc, element and commodity.
"""

import matplotlib.pyplot as plt

import atlas

study = atlas.open()
worst = study.chokepoints(bloc="us-allies", among=["facility", "port", "passage", "border"], top=10)
axes = worst.plot.barh(x="name", y="lost_t", color="#0b6fa4", legend=False, figsize=(8, 4.4), logx=True)
axes.invert_yaxis()
axes.set(xlabel="magnets lost, t/year (log scale)", ylabel="", title="What costs us-allies most to lose")
plt.tight_layout()
plt.savefig("chokepoints.png")
