"""A report as one page: everything in it, no script, nothing from any other address; for screen, phone, paper."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from atlas.report_build import Built
from atlas.report_sources import LICENCE, cite_atlas, cite_report
from atlas.report_text import Part, Span, plain

TYPES = {"png": "image/png", "svg": "image/svg+xml"}
STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.2rem 1.1rem 3rem;max-width:54rem;background:#fff;color:#1c2733;
 font:16px/1.5 "Noto Sans",system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
header{border-bottom:2px solid #0b5c8a;margin-bottom:1.2rem;padding-bottom:.7rem}
h1{font-size:1.75rem;line-height:1.2;margin:.2rem 0 .4rem}
h2{font-size:1.25rem;line-height:1.25;margin:1.9rem 0 .5rem;color:#0b4a70}
h3{font-size:1.05rem;margin:1.3rem 0 .3rem}
p,ul,ol{margin:.5rem 0}ul,ol{padding-left:1.3rem}
a{color:#0b5c8a}
.lead{font-size:1.1rem;color:#3b4855;margin:.2rem 0}
.by,figcaption,caption,footer{color:#56626e;font-size:.86rem}
figure{margin:1rem 0}figure img{display:block;width:100%;height:auto}
figcaption{margin-top:.35rem}
.table{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;margin-bottom:.3rem}
th,td{padding:.28rem .6rem .28rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #d9dfe4}
th{border-bottom:1.5px solid #56626e;font-weight:600}
.r{text-align:right;padding-right:.9rem;white-space:nowrap;font-variant-numeric:tabular-nums}
.keys{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.8rem;margin:1rem 0;padding:0}
.keys div{border-left:3px solid #0b5c8a;padding:.1rem 0 .1rem .7rem}
.keys dt{font-size:.84rem;color:#56626e}.keys dd{margin:0}
.keys .v{font-size:1.45rem;line-height:1.2;font-weight:700}.keys .n{font-size:.84rem;color:#3b4855}
.grid{display:grid;gap:0 1.6rem}
.g1{grid-template-columns:1fr}.g2{grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr))}
.g3,.g4{grid-template-columns:repeat(auto-fit,minmax(min(14rem,100%),1fr))}
.page{border-top:1px solid #d9dfe4;margin:2rem 0}
nav li{margin:.1rem 0}
.sources{font-size:.84rem}.sources li{margin:.2rem 0}
footer{border-top:1px solid #d9dfe4;margin-top:2rem;padding-top:.7rem}
@media (max-width:30rem){body{font-size:15px}
 table{font-size:.8rem}th,td{padding-right:.35rem}.r{padding-right:.35rem}h1{font-size:1.4rem}
 .keys{grid-template-columns:1fr 1fr}.keys .v{font-size:1.2rem}}
@page{margin:16mm}
@media print{body{max-width:none;padding:0;font-size:9.5pt}a{color:inherit;text-decoration:none}
 .page{break-after:page;border:0;margin:0}h2,h3{break-after:avoid}figure,.keys,tr,.keep{break-inside:avoid}.table{overflow:visible}}
""".strip()


def page(built: Built) -> str:
    """Return the report as an HTML document; its policy lets its own style and pictures in and nothing else."""
    head = built.head
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    by = " · ".join(escape(str(head[k])) for k in ("author", "date") if head[k])
    by = f'<p class="by">{by}</p>' if by else ""
    writer = _Writer(built)
    body = "".join(writer.part(p) for p in built.parts)
    lead = f'<p class="lead">{spans(head["subtitle_spans"])}</p>' if head["subtitle"] else ""
    return (
        f'<!doctype html>\n<html lang="{escape(head["language"])}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="Rare-earth atlas {escape(head["version"])}">\n'
        + (f'<meta name="author" content="{escape(head["author"])}">\n' if head["author"] else "")
        + f"<title>{escape(head['title'])}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{spans(head['title_spans'])}</h1>{lead}{by}</header>\n"
        f"<main>\n{body}</main>\n"
        f"<footer><p>{escape(head['case'])} Rare-earth atlas {escape(head['version'])}.</p>"
        f"<p>{escape(LICENCE)}</p></footer>\n</body>\n</html>\n"
    )


class _Writer:
    """Writes parts as HTML; a heading's id comes from its place, so that contents can lead there."""

    def __init__(self, built: Built) -> None:
        self.built, self.headings = built, 0

    def part(self, p: Part) -> str:
        """Return one part as HTML."""
        made: str = getattr(self, p["kind"])(p)
        return made + "\n"

    def parts(self, found: Sequence[Part]) -> str:
        """Return several parts as HTML."""
        return "".join(self.part(p) for p in found)

    def heading(self, p: Part) -> str:
        """A heading; the first level is the title's, so each goes one down."""
        self.headings += 1
        level = min(p["level"] + 1, 4)
        return f'<h{level} id="h{self.headings}">{spans(p["spans"])}</h{level}>'

    def paragraph(self, p: Part) -> str:
        """A paragraph."""
        return f"<p>{spans(p['spans'])}</p>"

    def list(self, p: Part) -> str:
        """A list; an item of one paragraph stands without it."""
        tag = "ol" if p["ordered"] else "ul"
        items = []
        for item in p["items"]:
            plainly = len(item) == 1 and item[0]["kind"] == "paragraph"
            items.append(f"<li>{spans(item[0]['spans']) if plainly else self.parts(item)}</li>")
        return f"<{tag}>{''.join(items)}</{tag}>"

    def page(self, p: Part) -> str:
        """A page break: a rule on screen."""
        return '<div class="page"></div>'

    def keep(self, p: Part) -> str:
        """Parts that stay on one page."""
        return f'<div class="keep">{self.parts(p["parts"])}</div>'

    def grid(self, p: Part) -> str:
        """Parts side by side, below each other where there is no room."""
        cells = "".join(f"<div>{self.parts(c)}</div>" for c in p["cells"])
        return f'<div class="grid g{len(p["columns"])}">{cells}</div>'

    def keys(self, p: Part) -> str:
        """Key figures: label, value, note."""
        items = "".join(
            f'<div><dt>{spans(i["label"])}</dt><dd class="v">{spans(i["value"])}</dd>'
            + (f'<dd class="n">{spans(i["note"])}</dd>' if i.get("note") else "")
            + "</div>"
            for i in p["items"]
        )
        return f'<dl class="keys">{items}</dl>'

    def figure(self, p: Part) -> str:
        """A picture, in the page itself."""
        data = base64.b64encode(self.built.pictures[p["image"]]).decode()
        kind = TYPES[p["image"].rpartition(".")[2]]
        caption = (
            f"<figcaption><b>Figure {p['number']}.</b> {spans(p['caption'])}</figcaption>" if "caption" in p else ""
        )
        return f'<figure><img src="data:{kind};base64,{data}" alt="{escape(plain(p["alt"]))}">{caption}</figure>'

    def table(self, p: Part) -> str:
        """A table; it scrolls where it is too wide."""
        caption = f"<caption><b>Table {p['number']}.</b> {spans(p['caption'])}</caption>" if "caption" in p else ""
        side = ["r" if h["align"] == "right" else "" for h in p["head"]]
        heads = "".join(
            f'<th scope="col"{_class(a)}>{spans(h["spans"])}</th>' for h, a in zip(p["head"], side, strict=True)
        )
        rows = "".join(
            "<tr>" + "".join(f"<td{_class(a)}>{spans(c)}</td>" for c, a in zip(r, side, strict=True)) + "</tr>"
            for r in p["rows"]
        )
        return f'<div class="table" tabindex="0" role="region" aria-label="Table"><table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'  # noqa: E501

    def contents(self, p: Part) -> str:
        """The headings of the report, with links."""
        rows = []
        for n, h in enumerate(_headings(self.built.parts), 1):
            if h["level"] <= 2:
                rows.append(f'<li><a href="#h{n}">{escape(plain(h["spans"]))}</a></li>')
        return f"<nav><h2>{escape(p['title'])}</h2><ul>{''.join(rows)}</ul></nav>"

    def sources(self, p: Part) -> str:
        """The sources, and how to cite."""
        rows = [
            f"<li><b>{escape(s['id'])}</b>: {escape(s['title'])}{_publisher(s)}"
            + (f' <a href="{escape(s["url"])}">{escape(_host(s["url"]))}</a>' if s["url"].startswith("http") else "")
            + "</li>"
            for s in self.built.sources[: p["top"]]
        ]
        more = len(self.built.sources) - p["top"]
        rest = (
            f"<p>And {more} more; <code>atlas about</code> and the sources layer list them all.</p>" if more > 0 else ""
        )
        return (
            f'<h2>{escape(p["title"])}</h2><div class="sources"><p>Cite this report as: '
            f"<i>{escape(cite_report(self.built.head))}</i></p><p>Cite the atlas as: <i>{escape(cite_atlas())}</i></p>"
            f"<ul>{''.join(rows)}</ul>{rest}</div>"
        )


def spans(found: Sequence[Span]) -> str:
    """Return spans as HTML; each quoted figure is a `data` element with its number in figures.json."""
    made = []
    for s in found:
        if "b" in s:
            made.append(f"<strong>{spans(s['b'])}</strong>")
        elif "i" in s:
            made.append(f"<em>{spans(s['i'])}</em>")
        elif "a" in s:
            safe = s["href"] if s["href"].startswith(("http://", "https://", "#", "mailto:")) else ""
            made.append(f'<a href="{escape(safe)}">{spans(s["a"])}</a>' if safe else spans(s["a"]))
        elif "q" in s:
            made.append(f'<data value="q{s["q"]}">{escape(s["t"])}</data>')
        else:
            made.append(escape(s["t"]))
    return "".join(made)


def _headings(found: Sequence[Part]) -> list[Part]:
    made = []
    for p in found:
        if p["kind"] == "heading":
            made.append(p)
        for inner in p.get("cells", []):
            made += _headings(inner)
        made += _headings(p.get("parts", []))
    return made


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _publisher(s: Mapping[str, Any]) -> str:
    return f" ({escape(s['publisher'])})" if s["publisher"] and s["publisher"] not in s["title"] else ""


def _host(url: str) -> str:
    return url.partition("//")[2].partition("/")[0]
