"""What a trace is asked of: a facility, a site, a country's demand, a market or a demand row, found by its id."""

from dataclasses import dataclass

from atlas.errors import UnknownName, nearest
from atlas.halt_words import country_name
from atlas.layers import Layers
from atlas.world import World

KIND_WORDS = "facility, site, country, market or demand row"
# A site with several units is asked by its last stage upstream, by its first downstream.
CHAIN = ("mine", "carbonate", "separation", "recycling", "metal", "alloy", "magnet", "demand")


@dataclass(frozen=True)
class Unit:
    """A facility or demand row of a target, with its step of the chain (one of CHAIN)."""

    id: str
    step: str


@dataclass(frozen=True)
class Target:
    """A place to trace: `kind` is facility, site, country, market or demand; `units` are what it is made of.

    `absent` says why nothing of it runs, empty where something does.
    """

    id: str
    name: str
    kind: str
    country: str
    units: tuple[Unit, ...]
    absent: str = ""

    def part(self, steps: str) -> "Target":
        """Return the part of it at one step of the chain."""
        units = tuple(u for u in self.units if u.step == steps)
        return Target(self.id, self.name, self.kind, self.country, units, self.absent)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of its units."""
        return frozenset(u.id for u in self.units)


def find_target(text: str, layers: Layers, world: World, year: int) -> Target:
    """Return the place of an id; raises UnknownName with the nearest ids."""
    asked = text.strip()
    fac, lower, upper = layers.facilities, asked.lower(), asked.upper()
    demand, markets = world.demand, world.markets
    if lower in fac.index or lower in world.units.index:
        name = str(fac.at[lower, "name"]) if lower in fac.index else lower
        where = str((fac if lower in fac.index else world.units).at[lower, "country"])
        return Target(lower, name, "facility", where, _units(world, [lower]), _absent(layers, world, [lower], year))
    at_site = [str(i) for i in fac.index[fac["site"] == lower]]
    if at_site:
        name, where = _site_name(layers, at_site), str(fac.at[at_site[0], "country"])
        return Target(lower, name, "site", where, _units(world, at_site), _absent(layers, world, at_site, year))
    rows, kind, where, name = demand[demand["demand_id"] == lower], "demand", "", lower
    if len(rows):
        where = str(rows["country"].iloc[0])
        whose = f"{country_name(where, layers)}, {sector_name(str(rows['sector'].iloc[0]), layers)}"
        name = f"{lower} ({whose})" if bool(markets["buyer"].get(str(rows["market"].iloc[0]), False)) else whose
    elif lower in markets.index:
        rows, kind, where = demand[demand["market"] == lower], "market", str(markets.at[lower, "country"])
        name = f"the market of {country_name(where, layers)}"
    elif upper in layers.countries.index or upper in set(markets["country"]):
        rows, kind, where, name = demand[demand["country"] == upper], "country", upper, country_name(upper, layers)
        asked = upper
    else:
        raise UnknownName(KIND_WORDS, asked[:80], nearest(asked, known_ids(layers, world)))
    units = tuple(Unit(str(i), "demand") for i in dict.fromkeys(rows["demand_id"]))
    absent = "" if units else f"{name} has no demand for magnets in {year}"
    return Target(upper if kind == "country" else lower, name, kind, where, units, absent)


def known_ids(layers: Layers, world: World) -> list[str]:
    """Return every id that a trace may be asked of."""
    fac = layers.facilities
    rows = world.demand["demand_id"]
    found = [*fac.index, *fac["site"], *world.markets["country"], *world.markets.index, *rows]
    return list(dict.fromkeys(map(str, found)))


def sector_name(sector: str, layers: Layers) -> str:
    """Return the name of a sector of users, its id in words where the layers give none."""
    names = layers.sectors.get("name", {})
    return str(names.get(sector, "")) or sector.replace("_", " ").replace("-", " ")


def step_of(world: World, unit: str) -> str:
    """Return the step of the chain a unit is: its stage, with cracking and alloy making told apart."""
    stage, product = str(world.units.at[unit, "stage"]), str(world.units.at[unit, "product"])
    if product == "carbonate":
        return "carbonate"
    return "alloy" if stage == "metal" and product != "metal" else stage


def _units(world: World, ids: list[str]) -> tuple[Unit, ...]:
    return tuple(Unit(i, step_of(world, i)) for i in ids if i in world.units.index)


def _site_name(layers: Layers, ids: list[str]) -> str:
    """Return what the names of a site's units share, else the site's id."""
    names = [str(layers.facilities.at[i, "name"]) for i in ids]
    same = names[0]
    for n in names[1:]:
        while same and not n.startswith(same):
            same = same[:-1]
    return same.rstrip(" ,(-–/") if len(same) >= 5 else str(layers.facilities.at[ids[0], "site"])


def _absent(layers: Layers, world: World, ids: list[str], year: int) -> str:
    """Return why none of these units is in the model of the year; empty where one is."""
    if any(i in world.units.index for i in ids):
        return ""
    said = []
    for i in ids:
        row, whose = layers.facilities.loc[i], f"{i}: " if len(ids) > 1 else ""
        status, start, end = str(row["status"]).replace("_", " "), row["start_year"], row["end_year"]
        if str(row["modelled"]) not in ("yes", "True", "true"):
            why = str(row.get("model_note") or "")
            said.append(whose + "it is not in the model" + (f": {why}" if why else ""))
        elif start == start and start > year:
            said.append(f"{whose}{status}, from {start:.0f}")
        elif end == end and end <= year:
            said.append(f"{whose}closed in {end:.0f}")
        else:
            said.append(whose + status)
    return f"{ids[0] if len(ids) == 1 else 'the site'} does not run in {year} ({'; '.join(dict.fromkeys(said))})"
