"""What the documents and the citations of them say about the repository is so."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.syntax import parse

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
FOLDERS = ("utd_rx", "tests", "benchmarks", "scripts", "notebooks", "examples", "docs", ".ci")
SUFFIXES = {"", ".py", ".md", ".toml", ".json", ".csv", ".ipynb", ".js", ".html"}
FOREIGN = {"node_modules", "__pycache__"}

HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# `docs/state.md, "Large rooms"`; several headings may follow. JSON escapes its quotation marks.
CITATION = re.compile(r"docs/([\w-]+\.md)`?((?:,? (?:and )?\"[^\"]+\")*)")
# Written apart, or this file would be the first to fail.
GONE = re.compile("facts" + r"/[\w-]+\.md|[Dd]efects?" + r" D\d|\btest_d\d+_|§")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)")
MODULE = re.compile(r"`((?:utd_rx|tests|benchmarks|scripts|examples)/[\w/]+(?:\.\w+)?/?)`")


@cache
def headings(page: str) -> tuple[str, ...]:
    """Return the headings of a page, without its code blocks; none of a page that is not there."""
    path = ROOT / page
    text = path.read_text() if path.is_file() else ""
    found = HEADING.findall(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return tuple(heading.replace("`", "") for heading in found)


def texts() -> Iterator[tuple[Path, str]]:
    """Yield every file that people write in, with its lines joined as one reads them."""
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    for path in (*ROOT.iterdir(), *inside):
        is_ours = not FOREIGN.intersection(path.parts) and path.suffix in SUFFIXES
        if path.is_file() and is_ours:
            text = path.read_text(encoding="utf-8").replace('\\"', '"')
            yield path.relative_to(ROOT), re.sub(r"\n[ \t]*(?:#[:!]?[ \t]+)?", " ", text)


def test_every_citation_names_a_heading() -> None:
    wrong = []
    for path, text in texts():
        for page, cited in CITATION.findall(text):
            known = headings(f"docs/{page}")
            if not known or not known_to(known, cited):
                wrong.append(f"{path}: docs/{page}{cited}")
    assert wrong == []


def test_nothing_cites_what_is_not_in_the_repository() -> None:
    """Nor numbers what has a name; only an RFC has paragraphs."""
    wrong = []
    for path, text in texts():
        ours = re.sub(r"RFC \d+ §", "", text)
        if path != Path(__file__).relative_to(ROOT):
            found = GONE.finditer(ours)
            wrong += [f"{path}: {ours[max(0, one.start() - 30) : one.end() + 30]}" for one in found]
    assert wrong == []


def known_to(known: tuple[str, ...], cited: str) -> bool:
    return set(re.findall(r'"([^"]+)"', cited)) <= set(known)


def test_a_heading_that_is_cited_stands_once() -> None:
    pages = {str(path): text for path, text in texts()}
    for page in ("docs/contract.md", "docs/livekit.md"):
        known = headings(page)
        assert sorted(set(known)) == sorted(known)
        # Within a page a heading is named alone: ("Statuses").
        cited = re.findall(r'(?<= \()"([^"]+)"(?=\))', pages[page])
        assert cited
        assert set(cited) <= set(known)


def links() -> Iterator[tuple[Path, str]]:
    """Yield every link of a page or of a notebook's text, without code."""
    for page in PAGES:
        text = re.sub(
            r"^```.*?^```|`[^`\n]+`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE
        )
        yield from ((page, link) for link in LINK.findall(text))
    for notebook in sorted(ROOT.glob("notebooks/*.ipynb")):
        for cell in json.loads(notebook.read_text())["cells"]:
            if cell["cell_type"] == "markdown":
                yield from ((notebook, link) for link in LINK.findall("".join(cell["source"])))


def slugs(page: Path) -> set[str]:
    """Return what the headings of a page are called in a link, as GitHub and MyST call them."""
    plain = (re.sub(r"[^\w\- ]", "", one.lower()) for one in headings(str(page.relative_to(ROOT))))
    return {heading.replace(" ", "-") for heading in plain}


def test_every_relative_link_resolves() -> None:
    wrong, parts = [], 0
    for page, link in links():
        target, _, part = link.partition("#")
        if "://" not in link:
            there = (page.parent / target).resolve() if target else page
            parts += bool(part)
            if not there.exists() or (part and part not in slugs(there)):
                wrong.append(f"{page.name}: {link}")
    assert wrong == []
    assert parts  # some lead to a heading


def test_every_external_link_could_be_followed() -> None:
    """What is there is not asked: a test must not depend on somebody else's server."""
    external = {link for _, link in links() if "://" in link}
    assert external
    for link in external:
        url = urlsplit(link)
        assert url.scheme == "https", link
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", url.netloc), link
        assert link[-1] not in ".,;:!?'\"", link


def test_every_test_that_a_page_names_exists() -> None:
    named = {found for page in PAGES for found in TEST.findall(page.read_text())}
    assert named
    wrong = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not (ROOT / path).is_file() or name not in functions_in(path)
    ]
    assert wrong == []


def test_every_file_that_a_page_names_exists() -> None:
    named = {found for page in PAGES for found in MODULE.findall(page.read_text())}
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))
