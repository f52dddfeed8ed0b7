"""The pages of the documentation: links, the way to each page, and words of ours that are explained."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from command_reference import PAGE, text
from pages import DOCS, ROOT, pages, with_includes
from shown_files import with_files

LINES = 120
"""Lines of README: a screen or two."""
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
_MADE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
PAGES = pages()
OURS = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md"))]


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _links(page: Path) -> list[str]:
    prose = _FENCED.sub("", page.read_text("utf-8"))
    return [there for link in _LINK.findall(prose) for there in link if there]


def _anchors(page: Path) -> set[str]:
    """What a link can point to: headings, and what is made of docstrings."""
    prose = _FENCED.sub("", with_includes(page.read_text("utf-8")))
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    slugs = {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}
    return slugs | set(_MADE.findall(prose))


@pytest.mark.parametrize("page", OURS, ids=_name)
def test_links_of_page_lead_somewhere(page):
    for link in _links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def test_every_page_is_in_the_navigation_and_one_click_from_the_first():
    site = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]

    def files(entries):
        for entry in entries:
            for value in entry.values():
                yield from files(value) if isinstance(value, list) else [value]

    navigation = list(files(site["nav"]))
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(navigation) == sorted(there)
    first = {(DOCS / link.partition("#")[0]).resolve() for link in _links(DOCS / "index.md")}
    two_clicks = {DOCS / "index.md", *first}
    for page in first:
        if page.suffix == ".md" and page.exists():
            two_clicks |= {(page.parent / link.partition("#")[0]).resolve() for link in _links(page)}
    assert {name for name in there if DOCS / name not in two_clicks} == set()


@pytest.mark.parametrize("page", sorted((DOCS / "how-to").glob("*.md")), ids=_name)
def test_every_guide_says_how_to_try_it_without_a_key(page):
    said = page.read_text("utf-8")
    assert any(way in said for way in ("index.md#without-a-key", "opus-async simulate", "opus_simulator"))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_page_reads_the_same_on_the_site_and_where_its_source_is_shown(page):
    """What is taken in stands alone under a sentence that names it; all else stands in the page itself."""
    text = page.read_text("utf-8")
    if "--8<--" in text:
        name, included = re.fullmatch(
            r'This page is `([\w.]+)` of the repository\.\n\n--8<-- "([\w.]+)"\n', text
        ).groups()
        assert name == included
    assert with_files(text) == text


def test_readme_is_short_and_leads_to_every_guide():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) <= LINES
    guides = [page for part in ("tutorial", "how-to", "explanation") for page in (DOCS / part).glob("*.md")]
    linked = {(ROOT / link).resolve() for link in _links(ROOT / "README.md")} | {
        DOCS / "explanation" / "threat-model.md"
    }
    assert [_name(page) for page in guides if page not in linked] == []


def test_words_of_ours_are_in_the_glossary():
    glossary = (DOCS / "glossary.md").read_text("utf-8").lower()
    titles = re.findall(r"^## (.+)$", glossary, re.MULTILINE)
    ours = (
        (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Words of ours")[2].partition("\n## ")[0]
    )
    words = [
        word.partition(" (")[0].lower() for word in re.findall(r"^\| ([a-z][\w (),]*) \|", ours, re.MULTILINE)
    ]
    assert len(words) > 15
    texts = {page: page.read_text("utf-8").lower() for page in PAGES}
    for word in {part for cell in words for part in cell.split(", ")} - {"word"}:
        used = [_name(page) for page, prose in texts.items() if re.search(rf"\b{word}s?\b", prose)]
        assert not used or word in glossary, f"{word} is used in {used}"
    assert titles == sorted(titles, key=str.casefold)


def test_command_reference_is_that_of_the_parsers():
    assert PAGE.read_text("utf-8") == text(), "PYTHONPATH=. python tests/support/command_reference.py"
