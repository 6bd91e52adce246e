"""The pages of the documentation agree with the tree: their links, files, commands and folders exist.

Decision records are not checked, because a record is not rewritten when files move later.
"""

import re

import pytest

from cli.main import LazyGroup
from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LAYER = ROOT / "layers" / "shared"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
FOLDERS = "bench|cli|clients|docs|events|functions|layers|local|openapi|parley|pipelines|stacks|tests"
# A plugin that the reader writes, files that a build makes, and the name of a secret.
NOT_IN_THE_TREE = {"functions/toolrunner/plugins/dice.py", "functions/web/assets", "parley/owner"}


def anchors(page):
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_reached(page, link):
    address, _, anchor = link.partition("#")
    target = (page.parent / address).resolve() if address else page
    return target.exists() and (not anchor or target.suffix != ".md" or anchor in anchors(target))


def is_in_the_tree(name):
    """Whether a page may name this: a file or folder of the tree, a module of the layer, or a seeded defect."""
    places = (ROOT / name, LAYER / name, ROOT / "tests" / "mutants" / f"{name}.patch")
    return name in NOT_IN_THE_TREE or any(place.exists() for place in places)


def code(page):
    """Return the code of a page: its blocks, and the spans of its text."""
    blocks = re.findall(r"^ *```.*?```", page.read_text(), re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`[^`\n]+`", page.read_text())])


def rooms(folder):
    """Return the names of the packages in a folder."""
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


def row_of(name):
    """Return the row of the architecture page that describes a folder."""
    return next((line for line in ARCHITECTURE.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1]), "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())

    assert [link for link in links if not link.startswith("http") and not is_reached(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page):
    names = re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", page.read_text())

    assert [name for name in names if not is_in_the_tree(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page):
    targets = set(re.findall(r"^([a-z.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made, called = (set(re.findall(rf"(?:`|\$ |bin/){name} ([a-z][a-z-]*)", code(page))) for name in ("make", "parley"))

    assert made - targets == set()
    assert called - LazyGroup.entries.keys() == set()


@pytest.mark.parametrize("function", rooms(ROOT / "functions"))
def test_the_architecture_page_names_every_folder_of_a_function(function):
    row = row_of(f"functions/{function}")

    assert row
    assert [room for room in rooms(ROOT / "functions" / function) if f"`{room}/`" not in row] == []


def test_the_architecture_page_names_every_folder_of_the_layer_and_of_the_emulator():
    layer = {room: rooms(LAYER / "parley" / room) for room in rooms(LAYER / "parley")}
    unnamed = [f"db/{room}" for room in layer.pop("db") if not row_of(f"db/{room}") and f"`{room}/`" not in row_of("db")]
    unnamed += [f"{name}/{room}" for name, inner in layer.items() for room in inner if f"`{room}/`" not in row_of(name)]
    unnamed += [room for room in rooms(ROOT / "local") if not row_of(f"local/{room}/")]

    assert (unnamed, [name for name in layer if not row_of(name)]) == ([], [])


def test_the_operating_page_says_after_how_many_attempts_a_job_is_a_dead_letter():
    template, page = (ROOT / "template.yaml").read_text(), (ROOT / "docs" / "operate.md").read_text()
    attempts = dict(re.findall(r"deadLetterTargetArn: !GetAtt (\w+)\.Arn, maxReceiveCount: (\d+)", template))
    told = dict(re.findall(r"`(\w+DeadLetters)`: (five|eight) attempts failed", page))

    assert {queue: {"five": "5", "eight": "8"}[word] for queue, word in told.items()} == attempts
