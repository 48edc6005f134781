"""Colours of plots made as SVG: by variables of the style sheet, so that they follow the theme of the page.

The second value of each stands where there is no style sheet: a picture saved by itself is drawn for a white ground.
Data colours are of Okabe and Ito's family, each at 3 to 1 or more on the light and on the dark ground.
"""

INK, SOFT, LINE = "var(--ink, #1B2530)", "var(--soft, #52606D)", "var(--line, #D5DCE3)"
EDGE, PAPER = "var(--edge, #74828E)", "var(--paper, #FFFFFF)"

# Fixed in both themes.
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0F7FC0", "#D55E00", "#009E73", "#B6507F", "#7F8A94"
DATA = {"blue": BLUE, "vermilion": VERMILION, "green": GREEN, "purple": PURPLE, "grey": GREY}
