"""Documents name only what exists, and decisions have one form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.models
from app.database import Base
from tests.architecture.sources import REPOSITORY, refuse

DOCS = REPOSITORY / "docs"
ADRS = sorted((DOCS / "adr").glob("ADR-*.md"))
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")])

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_MAKE = re.compile(r"`make ([a-z-]+)")
_SECTIONS = ("Context", "Decision", "Consequences", "Alternatives", "Revisit when")
_STATUS = re.compile(r"^Status: (proposed|accepted|superseded by ADR-\d{4})$", re.MULTILINE)
_LONGEST_AGENTS = 80
_LONGEST_ADR = 110  # lines: one page


def broken_links(page: Path, text: str) -> Iterator[str]:
    """Yield the relative links that lead nowhere."""
    for target in _LINK.findall(_FENCE.sub("", text)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"{page.name}: {target} leads nowhere"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"{page.name}: {target} has no such heading"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unknown_targets(text: str, makefile: str) -> set[str]:
    """Return the `make` targets that a text names and the Makefile has not."""
    known = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    return set(_MAKE.findall(text)) - known


def wrong_form(name: str, text: str) -> Iterator[str]:
    """Yield what a decision record lacks."""
    number = name[:8]
    if not text.startswith(f"# {number}: "):
        yield f"{name}: the title must begin with # {number}:"
    if not _STATUS.search(text):
        yield f"{name}: no line Status: proposed, accepted or superseded by ADR-NNNN"
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    for section in _SECTIONS:
        if section not in headings:
            yield f"{name}: no section {section}"
    if len(text.splitlines()) > _LONGEST_ADR:
        yield f"{name}: longer than a page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    refuse(broken_links(page, page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_make_targets_exist(page: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert unknown_targets(page.read_text(encoding="utf-8"), makefile) == set()


def test_what_leads_nowhere_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One heading\n")
    assert list(broken_links(page, "[x](missing.md)"))
    assert list(broken_links(page, "[x](page.md#two)"))
    assert not list(broken_links(page, "[x](page.md#one-heading) [y](https://example.org)"))
    assert unknown_targets("run `make coffee`", "test: setup") == {"coffee"}


def test_agents_md_is_short() -> None:
    text = (REPOSITORY / "AGENTS.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < _LONGEST_AGENTS


@pytest.mark.parametrize("page", ADRS, ids=lambda page: page.stem)
def test_a_decision_record_has_its_form(page: Path) -> None:
    refuse(wrong_form(page.name, page.read_text(encoding="utf-8")))


def test_a_decision_record_without_its_form_would_be_found() -> None:
    found = list(wrong_form("ADR-0001-title.md", "# A decision\n" + "\n" * _LONGEST_ADR))
    assert len(found) == 3 + len(_SECTIONS)


def test_decision_records_are_numbered_and_listed() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    numbers = [page.name[4:8] for page in ADRS]
    assert numbers == [f"{number:04d}" for number in range(1, len(ADRS) + 1)]
    refuse(f"{page.name} is not in docs/README.md" for page in ADRS if page.name not in index)


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    folders = ("explanation", "howto", "reference", "notes")
    pages = [page for folder in folders for page in sorted((DOCS / folder).glob("*.md"))]
    links = {f"{page.parent.name}/{page.name}" for page in pages}
    refuse(f"{link} is not in docs/README.md" for link in sorted(links) if link not in index)


def test_every_table_is_a_word_of_the_glossary() -> None:
    assert app.models.__all__
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    words = {table.replace("_", " ") for table in Base.metadata.tables}
    refuse(f"{word} is not explained" for word in sorted(words) if f"**{word}**" not in glossary)
