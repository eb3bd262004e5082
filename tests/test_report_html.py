"""The page: inert whatever a server wrote, whole in itself, and drawn by a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import HOSTILE, book, outcomes
from strategies import FEW, an_outcome

from mailwhy.model import Outcome
from mailwhy.report import render, render_many
from mailwhy.report.html import SHEET

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "rect", "br"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "article", "details", "summary"),
    *("h1", "h2", "h3", "p", "strong", "span", "code", "pre", "ul", "ol", "li", "dl", "dt", "dd", "a", "div"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "rect"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "tabindex", "scope", "id", "open", "href", "rel"),
    *("width", "height", "x", "aria-hidden"),
}


class Page(HTMLParser):
    """Reads a page, holds it to the tags and attributes that we write, and keeps what matters."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.pre: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        assert {name for name, _ in attrs} <= ATTRIBUTES, attrs
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.tags.append(tag)
        if tag == "pre":
            self.pre.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "pre":
            self.pre[-1] += data


@FEW
@given(st.lists(an_outcome(), max_size=3))
def test_nothing_from_outside_becomes_markup(many: list[Outcome]) -> None:
    for text in (render_many(many, book(), "html"), *(render(outcome, book(), "html") for outcome in many)):
        page = Page(text)
        assert len(page.ids) == len(set(page.ids))
        for link in page.links:
            assert link.startswith("https://") or link.removeprefix("#") in page.ids
    assert "<script" not in text


def test_the_reply_survives_as_text() -> None:
    shown = Page(render(outcomes()["hostile"], book(), "html")).pre[0]
    assert "<script>alert(1)</script> &amp;" in shown
    assert HOSTILE.split("\u202e")[1] in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("name", outcomes())
def test_the_page_is_whole_and_has_landmarks(name: str) -> None:
    text = render(outcomes()[name], book(), "html")
    page = Page(text)
    assert page.tags.count("h1") == page.tags.count("main") == page.tags.count("header") == 1
    assert "default-src 'none'; style-src 'sha256-" in text
    assert not re.search(r"\b(src|srcset|style|on\w+)=|url\(|@import", text)
    assert page.tags.count("table") == page.tags.count("thead")


def test_a_mailbox_that_works_is_no_case_of_a_cause() -> None:
    text = render_many([outcomes()["works-imap-retired"]], book(), "html")
    assert "1 mailbox tested, 1 of them can sign in" in text
    assert "Most likely causes" not in text


def contrast(one: str, two: str) -> float:
    def light(color: str) -> float:
        full = "".join(c * 2 for c in color[1:]) if len(color) == 4 else color[1:]
        parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    bright, dark = sorted((light(one), light(two)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_every_colour_can_be_read_on_both_grounds() -> None:
    themes = re.findall(r":root\{([^}]*)\}", SHEET)
    assert len(themes) == 3  # light, dark, print
    for theme in themes[:2]:
        colors = dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})", theme))
        for ground in ("paper", "card"):
            for ink in ("ink", "soft", "link", "good", "bad", "doubt", "quiet"):
                assert contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)


# --- in a real browser ------------------------------------------------------------------------------------------


@pytest.fixture
def chromium() -> str:
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    return CHROMIUM


def run(program: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}/chrome"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tenant-off", "hostile", "many"])
def test_chromium_shows_it(chromium: str, tmp_path: Path, name: str) -> None:
    """The policy lets the style in (a refusal would be on the console), nothing runs, and something is drawn."""
    text = render_many(outcomes().values(), book(), "html") if name == "many" else None
    path = tmp_path / "page.html"
    path.write_text(text or render(outcomes()[name], book(), "html"), encoding="utf-8")
    shot = tmp_path / "shot.png"
    done = run(chromium, tmp_path, "--window-size=900,1200", f"--screenshot={shot}", path.as_uri())
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    assert shot.stat().st_size > 20_000
    dom = run(chromium, tmp_path, "--dump-dom", path.as_uri()).stdout
    assert "<script" not in dom
    assert "</html>" in dom


@pytest.mark.slow
def test_chromium_would_have_told(chromium: str, tmp_path: Path) -> None:
    """The proof that the test above can fail: a style sheet that the policy does not know is on the console."""
    path = tmp_path / "page.html"
    path.write_text(render(outcomes()["works"], book(), "html").replace("--ink", "--pen"), encoding="utf-8")
    done = run(chromium, tmp_path, "--dump-dom", path.as_uri())
    assert "Content Security Policy" in done.stderr
