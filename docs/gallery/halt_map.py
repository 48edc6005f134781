"""A map of a halt for print.

China sells no magnets: what is lost, grown and new. `figure` returns a Matplotlib figure; `savefig` writes PNG, SVG or
PDF by the name.
"""

import atlas

study = atlas.open()
answer = study.run(halts=["country:CHN/magnet"])
figure = answer.figure(commodity="magnet")
figure.savefig("halt_map.png")
