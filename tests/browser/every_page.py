"""Every page of the web atlas, as (which world, address): a new page of the application must stand here."""

# "shipped" pages answer at once on the shipped world; "invented" ones need many solves and use the small world.
PAGES: tuple[tuple[str, str], ...] = (
    ("shipped", "/"),
    ("shipped", "/map?halt=country:CHN/magnet"),
    ("shipped", "/map?halt=passage:malacca&view=before"),
    ("shipped", "/map?scenario=stuttgart-buyer"),
    ("shipped", "/map?halt=country:CNH"),
    ("shipped", "/compare"),
    ("shipped", "/compare?case=passage:malacca&case=passage:suez"),
    ("shipped", "/compare?case=passage:malaca&case=passage:suez"),
    ("shipped", "/route"),
    ("shipped", "/route?from=CNSHA&to=NLRTM&close=suez"),
    ("shipped", "/route?from=nowhere-at-all&to=NLRTM"),
    ("shipped", "/validate"),
    ("shipped", "/data"),
    ("shipped", "/about"),
    ("shipped", "/concentration"),
    ("shipped", "/trace"),
    ("shipped", "/trace/lynas-kuantan"),
    ("shipped", "/no-such-page"),
    ("invented", "/chokepoints"),
    ("invented", "/chokepoints?bloc=pair"),
    ("invented", "/chokepoints?bloc=pair&size=2"),
    ("invented", "/frontier?bloc=pair"),
    ("shipped", "/fixes"),
    ("invented", "/worth?bloc=pair&halt=country:AAA"),
)
