"""Cuts the fonts of print maps and reports down to what names need: `python -m atlas.build_fonts DIR`.

They go into templates/fonts/. The sources are two packages of Debian, both SIL OFL 1.1: fonts-noto-core (20201225) and
fonts-noto-cjk (20220127). Unpack them (`dpkg -x FILE.deb DIR`) and name the folder. Needs fontTools, which comes with
matplotlib.

Every face is a static TrueType font with `glyf` outlines, because matplotlib's PDF, its SVG and Typst all take those.
Families are called "Atlas ..." so that a font of the same name on somebody's system can never stand in for ours.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, newTable

from atlas.config import data_dir

EPOCH = 3_692_217_600  # 1 January 2021 in seconds since 1904: no clock time in a file
NOTICE = "Cut from Noto fonts, copyright Google LLC and Adobe, SIL Open Font License 1.1"

# Latin with Vietnamese, Greek, Cyrillic, punctuation, currency, arrows and signs that prose uses.
EUROPEAN = ((0x20, 0x7E), (0xA0, 0x24F), (0x2B0, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x1E00, 0x1EFF),
            (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x20BF), (0x2100, 0x214F), (0x2190, 0x21FF),
            (0x2200, 0x22FF), (0x25A0, 0x25FF), (0xFB00, 0xFB06))  # fmt: skip
# family -> (file, source face, blocks of characters beside the joining controls)
FACES = (
    ("Atlas Sans", "AtlasSans-Regular", "NotoSans-Regular", EUROPEAN),
    ("Atlas Sans", "AtlasSans-Bold", "NotoSans-Bold", EUROPEAN),
    ("Atlas Sans", "AtlasSans-Italic", "NotoSans-Italic", EUROPEAN),
    ("Atlas Sans Signs", "AtlasSansSigns-Regular", "NotoSansMath-Regular", ((0x2190, 0x21FF), (0x2200, 0x22FF))),
    ("Atlas Sans Symbols", "AtlasSansSymbols-Regular", "NotoSansSymbols2-Regular", ((0x25A0, 0x27BF),)),
    ("Atlas Sans Arabic", "AtlasSansArabic-Regular", "NotoSansArabic-Regular",
     ((0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF))),
    ("Atlas Sans Armenian", "AtlasSansArmenian-Regular", "NotoSansArmenian-Regular", ((0x530, 0x58F),)),
    ("Atlas Sans Bengali", "AtlasSansBengali-Regular", "NotoSansBengali-Regular", ((0x980, 0x9FF),)),
    ("Atlas Sans Devanagari", "AtlasSansDevanagari-Regular", "NotoSansDevanagari-Regular", ((0x900, 0x97F),)),
    ("Atlas Sans Ethiopic", "AtlasSansEthiopic-Regular", "NotoSansEthiopic-Regular", ((0x1200, 0x137F),)),
    ("Atlas Sans Georgian", "AtlasSansGeorgian-Regular", "NotoSansGeorgian-Regular", ((0x10A0, 0x10FF),)),
    ("Atlas Sans Gujarati", "AtlasSansGujarati-Regular", "NotoSansGujarati-Regular", ((0xA80, 0xAFF),)),
    ("Atlas Sans Hebrew", "AtlasSansHebrew-Regular", "NotoSansHebrew-Regular", ((0x590, 0x5FF),)),
    ("Atlas Sans Kannada", "AtlasSansKannada-Regular", "NotoSansKannada-Regular", ((0xC80, 0xCFF),)),
    ("Atlas Sans Khmer", "AtlasSansKhmer-Regular", "NotoSansKhmer-Regular", ((0x1780, 0x17FF),)),
    ("Atlas Sans Lao", "AtlasSansLao-Regular", "NotoSansLao-Regular", ((0xE80, 0xEFF),)),
    ("Atlas Sans Malayalam", "AtlasSansMalayalam-Regular", "NotoSansMalayalam-Regular", ((0xD00, 0xD7F),)),
    ("Atlas Sans Myanmar", "AtlasSansMyanmar-Regular", "NotoSansMyanmar-Regular", ((0x1000, 0x109F),)),
    ("Atlas Sans Sinhala", "AtlasSansSinhala-Regular", "NotoSansSinhala-Regular", ((0xD80, 0xDFF),)),
    ("Atlas Sans Tamil", "AtlasSansTamil-Regular", "NotoSansTamil-Regular", ((0xB80, 0xBFF),)),
    ("Atlas Sans Telugu", "AtlasSansTelugu-Regular", "NotoSansTelugu-Regular", ((0xC00, 0xC7F),)),
    ("Atlas Sans Thai", "AtlasSansThai-Regular", "NotoSansThai-Regular", ((0xE00, 0xE7F),)),
)  # fmt: skip
CJK = ("Atlas Sans CJK", "AtlasSansCJK-Regular", "NotoSansCJK-Regular.ttc", "Noto Sans CJK SC")
# National character sets by the codec that holds their two-byte part: what newspapers of each country print.
CJK_SETS = ("gb2312", "big5", "shift_jis", "euc_kr")
CJK_MORE = ((0x3000, 0x30FF), (0x3105, 0x312F), (0xFF01, 0xFF9F))
CONTROLS = (0x200C, 0x200D, 0x200E, 0x200F, 0x25CC, 0x20, 0xA0)
# Limits of hinting programs, of which there are none here.
MAXP = ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs", "maxStackElements",
        "maxSizeOfInstructions", "maxComponentElements")  # fmt: skip
BIG5_RARE = 0xC9  # lead byte from which Big5 holds the characters of its second, rare level


def main(folders: list[str]) -> int:
    """Write every face into templates/fonts/ from the source packages unpacked in `folders`; print its size."""
    found = {p.name: p for folder in folders for p in sorted(Path(folder).rglob("*.tt[fc]"))}
    wanted = [f"{source}.ttf" for _, _, source, _ in FACES] + [CJK[2]]
    missing = [name for name in wanted if name not in found]
    if missing:
        sys.stderr.write(f"error: not in the folders given: {', '.join(missing)}\n")
        return 2
    out = data_dir("templates") / "fonts"
    out.mkdir(exist_ok=True)
    for family, name, source, blocks in FACES:
        font = TTFont(found[f"{source}.ttf"], recalcTimestamp=False)
        _write(_cut(font, {*_points(blocks), *CONTROLS}), family, name, out)
    faces = TTCollection(found[CJK[2]]).fonts
    whole = next(f for f in faces if f["name"].getDebugName(1) == CJK[3])
    _write(_quadratic(_cut(whole, _cjk_points())), CJK[0], CJK[1], out)
    return 0


def _points(blocks: Iterable[tuple[int, int]]) -> set[int]:
    return {c for first, last in blocks for c in range(first, last + 1)}


def _cjk_points() -> set[int]:
    """Return the characters of the national sets of China, Taiwan (its first level), Japan and Korea."""
    points = _points(CJK_MORE)
    for codec in CJK_SETS:
        for lead in range(0x81, 0xFF):
            if codec == "big5" and lead >= BIG5_RARE:
                break
            for trail in range(0x40, 0xFF):
                try:
                    text = bytes((lead, trail)).decode(codec)
                except UnicodeDecodeError:
                    continue
                points.update(map(ord, text))
    return {c for c in points if c >= 0x2E80}


def _cut(font: TTFont, points: set[int]) -> TTFont:
    """Return the font with only the glyphs of these characters and what shaping makes of them."""
    options = subset.Options(
        hinting=False, layout_features=["*"], name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], notdef_outline=True,
        glyph_names=False, drop_tables=["DSIG", "vhea", "vmtx", "VORG", "BASE", "STAT", "MATH"],
    )  # fmt: skip
    if "CFF " in font:  # vertical, historical and other national forms double the size of a CJK face
        options.layout_features = ["kern", "mark", "mkmk"]
        options.desubroutinize = True
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=sorted(points))
    cutter.subset(font)
    return font


def _quadratic(font: TTFont, error_units: float = 2.0) -> TTFont:
    """Return a CFF font as TrueType: cubic outlines become quadratic ones, off by at most `error_units`."""
    glyphs, made = font.getGlyphSet(), {}
    for name in font.getGlyphOrder():
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, error_units, reverse_direction=True))
        made[name] = pen.glyph()
    del font["CFF "]
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = font.getGlyphOrder(), made
    font["maxp"] = newTable("maxp")
    font["maxp"].tableVersion = 0x00010000
    for limit in MAXP:
        setattr(font["maxp"], limit, 1 if limit == "maxZones" else 0)
    font.sfntVersion = "\x00\x01\x00\x00"
    font["post"].formatType = 3.0
    for name, glyph in made.items():
        width, _ = font["hmtx"][name]
        font["hmtx"][name] = (width, getattr(glyph, "xMin", 0) or 0)
    return font


def _write(font: TTFont, family: str, name: str, out: Path) -> None:
    """Name a face and write it: family, style and licence, no time of the day."""
    style = name.partition("-")[2]
    for record, text in ((0, NOTICE), (1, family), (2, style), (3, f"{name} 1"), (4, f"{family} {style}"),
                         (5, "Version 1.0"), (6, name)):  # fmt: skip
        font["name"].removeNames(nameID=record)
        font["name"].setName(text, record, 3, 1, 0x409)
    font["name"].names = [n for n in font["name"].names if n.langID == 0x409 and n.platformID == 3]
    font["head"].created = font["head"].modified = EPOCH
    path = out / f"{name}.ttf"
    font.save(path)
    sys.stdout.write(f"{path.name}: {path.stat().st_size // 1024} kB\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
