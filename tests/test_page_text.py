"""Texts of pages stand in one place: every key that is used exists, every text is used, placeholders are filled."""

import re
from pathlib import Path

import pytest

from atlas import page_text
from atlas.render import environment

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "templates").glob("*.html")}
SCRIPTS = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "templates" / "static").glob("*.js")}
MODULES = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "atlas").glob("*.py")}

KEY = r"[a-z][\w-]*(?:\.[\w-]+)+"


def used(sources: dict[str, str], call: str) -> dict[str, str]:
    """Return the keys that `call("...")` names, each with one file that does."""
    return {k: name for name, body in sources.items() for k in re.findall(rf'\b{call}\(\s*f?["\']({KEY})["\']', body)}


def started(sources: dict[str, str], call: str) -> set[str]:
    """Return the beginnings of keys that are put together: `t("x.y." ~ z)`, `say("x.y." + z)`, `text(f"x.y.{z}")`."""
    found = set()
    for body in sources.values():
        found |= set(re.findall(rf'\b{call}\(\s*["\']([a-z][\w.-]*\.[\w-]*)["\']\s*[~+]', body))
        found |= set(re.findall(rf'\b{call}\(\s*f["\']([a-z][\w.-]*\.[\w-]*)\{{', body))
    return found


def test_texts_are_read_and_hold_something() -> None:
    texts = page_text.texts()
    assert texts["frame.brand"]
    assert not [k for k, v in texts.items() if not v.strip()]


def test_every_key_that_is_used_exists() -> None:
    texts = page_text.texts()
    asked = used(TEMPLATES, "t") | used(MODULES, "(?:page_text|text|t)")
    missing = {k: f for k, f in asked.items() if k not in texts and k.split(".")[0] in {t.split(".")[0] for t in texts}}
    assert not missing
    in_scripts = {k: f for k, f in used(SCRIPTS, "say").items() if ".js.".join(k.split(".", 1)) not in texts}
    assert not in_scripts


def test_every_text_is_used() -> None:
    """A text is used where its key stands, in whole or as a beginning that something is put behind."""
    bodies = "\n".join([*TEMPLATES.values(), *MODULES.values()])
    scripts = "\n".join(SCRIPTS.values())
    begun = started(TEMPLATES, "t") | started(MODULES, r"\w+")
    begun_scripts = started(SCRIPTS, "say")
    unused = []
    for key in page_text.texts():
        if ".js." in key:
            short = key.replace(".js.", ".", 1)
            if f'"{short}"' not in scripts and not any(short.startswith(b) for b in begun_scripts):
                unused.append(key)
        elif f'"{key}"' not in bodies and f"'{key}'" not in bodies and not any(key.startswith(b) for b in begun):
            unused.append(key)
    assert not unused


def test_sections_of_scripts_stand_in_the_page() -> None:
    for name, body in TEMPLATES.items():
        for sections in re.findall(r"js_text\(([^)]*)\)", body):
            for section in re.findall(r'"([\w-]+)"', sections):
                assert page_text.script_texts(section), name


def test_values_are_escaped_and_missing_ones_raise() -> None:
    made = environment().from_string("{{ t('frame.brand') }}").render()
    assert made == page_text.texts()["frame.brand"]
    with pytest.raises(KeyError, match="no text"):
        page_text.text("frame.no-such-text")
    with pytest.raises(KeyError):
        page_text.script_texts("frame")


def test_a_value_with_markup_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_text, "texts", lambda: {"x.y": "<{name}> {n:,}"})
    assert page_text.text("x.y", name="<b>", n=1234) == "&lt;&lt;b&gt;&gt; 1,234"
