"""Colours of plots made as SVG: variables of `static/plots.css` and `static/frame.css`, so they follow a page's theme.

The second value of each stands where there is no style sheet: a picture saved by itself is drawn for a white ground.
Data colours are near those of Okabe and Ito, told apart with any common colour blindness.
"""

INK, SOFT, LINE = "var(--ink, #1B2530)", "var(--soft, #52606D)", "var(--line, #D5DCE3)"
EDGE, PAPER = "var(--edge, #74828E)", "var(--paper, #FFFFFF)"
MAP_INK = "var(--map-ink, #1F2933)"
MARKED = "var(--bad, #A83200)"  # what a plot points at
ON = "var(--on-accent, #FFFFFF)"  # words on BLUE and on MARKED
DARK = "#1B2530"  # words on a colour that is light in both themes

BLUE, SKY = "var(--plot-blue, #0072B2)", "var(--plot-sky, #3492CF)"
VERMILION, AMBER = "var(--plot-vermilion, #C24E00)", "var(--plot-amber, #B57A00)"
GREEN, PURPLE = "var(--plot-green, #00805C)", "var(--plot-purple, #B6507F)"
VIOLET, GREY, RED = "var(--plot-violet, #7A5195)", "var(--plot-grey, #74828E)", "var(--plot-red, #B02A00)"

SECOND, THIRD, REST = "var(--tint-second, #56B4E9)", "var(--tint-third, #B5DDF5)", "var(--tint-rest, #E4E8EC)"
END, BAND = "var(--tint-end, #C0C8CF)", "var(--tint-band, #E3EFF6)"
TINTS = (
    "var(--tint-1, #FDEBC8)", "var(--tint-2, #F9CE86)", "var(--tint-3, #EE9B4A)", "var(--tint-4, #C4622D)",
)  # fmt: skip
