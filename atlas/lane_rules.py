"""Who may send what to whom: every flow of a stored answer against the rows of the layers alone."""

import datetime as dt
from functools import cached_property

import numpy as np
import pandas as pd

from atlas.balances import BASE_YEAR, ENDS, LEAST_T, Chemistry
from atlas.chain import chain_of
from atlas.duty import Duties
from atlas.layers import Layers

# Commodity -> which stage/product sells it to which; demand rows and buyers are `buyer`, the points where end-of-life
# magnets are collected `market`. Strip casters sell to sintered plants, powder makers to bonded ones.
SEPARATORS = ("separation/oxide", "separation/carbonate")
GROUND = ("magnet/sintered", "magnet/smco", "magnet/magnet")
MAGNETS = (*GROUND, "magnet/bonded")
RECYCLERS = ("recycling/oxide", "recycling/metal", "recycling/powder", "recycling/alloy")
TRADE: dict[str, dict[str, tuple[str, ...]]] = {
    "concentrate": {"mine/concentrate": SEPARATORS, "separation/carbonate": ("separation/oxide",)},
    "oxide": {"separation/oxide": ("metal/metal",), "recycling/oxide": ("metal/metal",)},
    "metal": {
        "metal/metal": ("metal/alloy", "metal/powder", *GROUND),
        "metal/alloy": GROUND,
        "metal/powder": ("magnet/bonded",),
        "recycling/powder": MAGNETS,
        "recycling/metal": GROUND,
        "recycling/alloy": GROUND,
    },
    "magnet": dict.fromkeys(MAGNETS, ("buyer",)),
    "scrap": dict.fromkeys((*GROUND, "market"), RECYCLERS),
}
CLOSES = {"surplus": {"oxide"}, "stock": {"metal"}, "loss": {"oxide", "metal", "scrap"}}
AT_MOST = 20  # problems told of one kind


class LaneRules:
    """The layers, ready to be asked which flows of a year no lane of theirs allows.

    `known` are ids that no layer has and that are not to be judged: a scenario's own plants and buyers.
    """

    def __init__(self, layers: Layers, year: int, known: frozenset[str] = frozenset()) -> None:
        self.layers, self.year, self.known = layers, year, known
        self.chemistry = Chemistry(layers)
        fac = layers.facilities
        self.fac = pd.DataFrame(fac.drop(columns="geometry", errors="ignore"))
        kind = (fac["stage"].astype(str) + "/" + fac["product"].astype(str)).to_dict()
        self.kind = kind | dict.fromkeys(map(str, layers.markets.index), "market")
        self.kind |= dict.fromkeys(map(str, layers.demand.index), "buyer")
        self.country = {str(i): str(c) for t in (layers.markets, layers.demand, fac) for i, c in t["country"].items()}

    def problems(self, flows: pd.DataFrame, state: str, *, duties: bool = True) -> list[str]:
        """Return which flows of one state break a rule, in words; without `duties` the tariff column is not judged."""
        f = flows[(flows["state"] == state) & (flows["tonnes"] > LEAST_T)]
        real = f[~f["to_id"].isin(ENDS)]
        rules = [self.ends, self.countries, self.running, self.ore, self.raw, self.grades, self.elements, self.ways]
        rules += [self.praseodymium, self.collected, *([self.duty] if duties else [])]
        return [p for rule in rules for p in rule(real)] + self.closings(f) + self.stock(f)

    def _told(self, f: pd.DataFrame, wrong: np.ndarray, what: str) -> list[str]:
        rows = f[wrong]
        said = [
            f"{t:.6g} t of {' '.join(x for x in (c, e, g) if x)} from {a} to {b}: {what}"
            for c, e, g, a, b, t in zip(
                rows["commodity"], rows["element"], rows["grade"], rows["from_id"], rows["to_id"], rows["tonnes"],
                strict=True,
            )
        ]  # fmt: skip
        return said[:AT_MOST]

    def ends(self, f: pd.DataFrame) -> list[str]:
        """Each flow goes from a stage that sells such goods to one that buys them of it."""
        wrong = [
            not {a, b} & self.known and self.kind.get(b) not in TRADE.get(c, {}).get(self.kind.get(a, ""), ())
            for a, b, c in zip(f["from_id"], f["to_id"], f["commodity"], strict=True)
        ]
        return self._told(f, np.array(wrong, dtype=bool), "no such trade is in the layers")

    def countries(self, f: pd.DataFrame) -> list[str]:
        """Each end lies in the country that is stated."""
        problems = []
        for side in ("from", "to"):
            true = [self.country.get(i, c) for i, c in zip(f[f"{side}_id"], f[f"{side}_country"], strict=True)]
            wrong = (f[f"{side}_country"] != np.array(true, dtype=object)).to_numpy()
            problems += self._told(f, wrong, f"{side}_country is another than the layers say")
        return problems

    @cached_property
    def idle(self) -> frozenset[str]:
        """Facilities that do not run in the year: not started yet, closed or idle by then, or not in the model."""
        u = self.fac
        start, end = (pd.to_numeric(u[c], errors="coerce") for c in ("start_year", "end_year"))
        idle = u["status"].astype(str).isin(["closed", "care_and_maintenance"]) | (end <= self.year)
        idle |= (start > self.year) | ~u["modelled"].astype(str).str.lower().isin(["yes", "true"])
        if self.year <= BASE_YEAR:
            idle |= u["status"].astype(str).isin(["construction", "planned"])
        return frozenset(map(str, u.index[idle]))

    def running(self, f: pd.DataFrame) -> list[str]:
        """What sends or takes goods runs in the year."""
        found = sorted((set(f["from_id"]) | set(f["to_id"])) & self.idle - self.known)
        return [f"{i}: does not run in {self.year}, and yet has flows" for i in found]

    def ore(self, f: pd.DataFrame) -> list[str]:
        """Ore goes where it can be cracked, and from a mine whose buyers are all named only to them."""
        ore = f[f["commodity"] == "concentrate"]
        wrong = []
        minerals = self.fac["mineral"].astype(str).to_dict() if "mineral" in self.fac else {}
        crackers = {i for i, k in self.kind.items() if k == "separation/carbonate"}
        sources = {c: {minerals.get(a, "") for a in ore.loc[ore["to_id"] == c, "from_id"]} for c in crackers}
        for a, b in zip(ore["from_id"], ore["to_id"], strict=True):
            if {a, b} & self.known or a not in self.fac.index or b not in self.fac.index:
                wrong.append(False)
                continue
            feeds, free = tuple(self.fac.at[a, "feeds"]), str(self.fac.at[a, "feeds_text"] or "")
            named = [x for x in feeds if x in self.fac.index and x not in self.idle]
            if b in crackers:
                wrong.append(b not in feeds)
                continue
            accepts = self.fac.at[b, "accepts"] if "accepts" in self.fac else ()
            brought = sources.get(a, {minerals.get(a, "")})
            fits = not accepts or a in accepts or any(m in accepts or not m for m in brought)
            tied = self.country[a] not in chain_of(self.layers).keeps_raw and named and not free
            wrong.append(not fits or bool(tied and b not in named))
        return self._told(ore, np.array(wrong, dtype=bool), "the plant does not accept that ore")

    def raw(self, f: pd.DataFrame) -> list[str]:
        """China, or who else keeps raw material at home, lets neither concentrate nor scrap out."""
        out = f["from_country"].isin(list(chain_of(self.layers).keeps_raw)) & (f["from_country"] != f["to_country"])
        wrong = f["commodity"].isin(["concentrate", "scrap"]) & out
        return self._told(f, wrong.to_numpy(), "its country lets neither concentrate nor scrap out")

    def grades(self, f: pd.DataFrame) -> list[str]:
        """Plants make their own grades only."""
        m = f[f["commodity"] == "magnet"]
        own = self.fac["grades"].to_dict()
        wrong = [
            i in own and g not in own[i] and i not in self.known for i, g in zip(m["from_id"], m["grade"], strict=True)
        ]
        return self._told(m, np.array(wrong, dtype=bool), "the plant does not make that grade")

    @cached_property
    def made(self) -> dict[str, tuple[str, ...]]:
        """The elements that each plant's row names."""
        return self.chemistry.made(self.year)

    def elements(self, f: pd.DataFrame) -> list[str]:
        """Plants make the elements that their row names, and take no others for it."""
        wrong = np.zeros(len(f), dtype=bool)
        makers = ("separation", "recycling", "metal/metal")
        for side, kinds in (("from_id", makers), ("to_id", ("metal/metal",))):
            for n, (i, c, e) in enumerate(zip(f[side], f["commodity"], f["element"], strict=True)):
                if c in ("oxide", "metal") and self.kind.get(i, "").startswith(kinds) and i not in self.known:
                    wrong[n] |= bool(self.made[i]) and e not in self.made[i]
        return self._told(f, wrong, "the plant does not make that element")

    def closings(self, f: pd.DataFrame) -> list[str]:
        """Only oxide is left over, only metal is stored."""
        ends = f[f["to_id"].isin(ENDS)]
        wrong = [c not in CLOSES[i] for i, c in zip(ends["to_id"], ends["commodity"], strict=True)]
        return self._told(ends, np.array(wrong, dtype=bool), "a balance cannot be closed so")

    def ways(self, f: pd.DataFrame) -> list[str]:
        """A facility's goods never take what its row rules out (`never_by`: ports and borders)."""
        if "never_by" not in self.fac:
            return []
        never = {i: set(v) for i, v in self.fac["never_by"].items() if v}
        wrong = [
            i in never and bool(never[i] & {*p.split(";"), *b.split(";")})
            for i, p, b in zip(f["from_id"], f["ports"], f["borders"], strict=True)
        ]
        return self._told(f, np.array(wrong, dtype=bool), "its goods never go that way")

    def praseodymium(self, f: pd.DataFrame) -> list[str]:
        """The Pr part of the NdPr that metal makers and magnet plants take in is between its bounds."""
        p, pair = self.layers.parameters, list(chain_of(self.layers).pair)
        if not pair:
            return []
        least, most = (float(p[name]) for name in chain_of(self.layers).pair_bounds)
        to = f["to_id"].map(lambda i: self.kind.get(i, ""))
        taken = (f["commodity"] == "oxide") & (to == "metal/metal")
        taken |= (f["commodity"] == "metal") & to.str.startswith("magnet/")
        part = f[taken & f["element"].isin(pair) & ~f["to_id"].isin(self.known)]
        t = part.groupby(["to_id", "element"])["tonnes"].sum().unstack().reindex(columns=pair).fillna(0.0)
        whole = t.sum(axis=1)
        wrong = (t[pair[1]] < least * whole - 1e-6 * whole - 1e-3) | (t[pair[1]] > most * whole + 1e-6 * whole + 1e-3)
        said = {i: t.at[i, pair[1]] / whole[i] for i in t.index[wrong][:AT_MOST]}
        name = chain_of(self.layers).pair_name
        return [f"{i}: {pair[1]} is {s:.4f} of its {name}, outside {least:g} to {most:g}" for i, s in said.items()]

    def collected(self, f: pd.DataFrame) -> list[str]:
        """No more end-of-life scrap leaves a market than is collected there."""
        scrap = f[(f["commodity"] == "scrap") & f["from_id"].isin(self.layers.markets.index)]
        t = scrap.groupby("from_id")["tonnes"].sum()
        most = pd.to_numeric(self.layers.markets["eol_reo_t"]).reindex(t.index).fillna(0.0)
        wrong = t > most * (1 + 1e-6) + 1e-3
        return [f"{i}: {t[i]:.6g} t of scrap leave, {most[i]:.6g} t are collected" for i in t.index[wrong]]

    def stock(self, f: pd.DataFrame) -> list[str]:
        """No country stores more metal than the layers say it did that year."""
        s = f[f["to_id"] == "stock"]
        held = self.layers.stock[pd.to_numeric(self.layers.stock["year"]) == self.year]
        t = s.groupby("from_country")["tonnes"].sum()
        limit = held.groupby("country")["max_t"].sum().reindex(t.index).astype(float).fillna(0.0)
        wrong = t > limit * (1 + 1e-6) + 1e-3
        return [f"{i}: {t[i]:.6g} t of metal go into stock, at most {limit[i]:.6g} t can" for i in t.index[wrong]]

    @cached_property
    def duties(self) -> Duties:
        """The duties of mid-year."""
        return self.layers.duties(dt.date(self.year, 7, 1))

    def duty(self, f: pd.DataFrame) -> list[str]:
        """The duty on each flow is that of mid-year on its value."""
        if "tariff_usd_t" not in f:
            return []
        plain = f["commodity"].isin(["concentrate", "magnet", "scrap"])
        key = "price_usd_t_" + f["commodity"]
        price = key.where(plain, key + "_" + f["element"].str.lower()).map(self.layers.parameters.to_dict())
        pairs = list(zip(f["to_country"], f["from_country"], f["commodity"], strict=True))
        pct = {k: self.duties.pct(*k) for k in set(pairs)}
        rate = np.array([pct[k] for k in pairs])
        due = rate / 100 * price.to_numpy(dtype=float)
        wrong = ~(np.abs(f["tariff_usd_t"].to_numpy(dtype=float) - due) <= 1e-6 * due + 1e-6)
        return self._told(f, wrong, "the duty is another than the tariffs say")
