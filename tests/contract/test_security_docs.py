"""The pages about security are complete: every promise has a test that fails without it, and every requirement of ASVS has a verdict."""

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.conftest import ROOT
from tests.mutants.run import PATCHES, Mutant

DOCS = ROOT / "docs"
PAGES = ("security.md", "threat-model.md", "asvs.md")
REQUIREMENTS = ROOT / "tests" / "data" / "asvs" / "requirements.txt"
VERDICTS = ("met", "not applicable", "partly", "not met")
# The files and folders of the repository that the pages name. A defect is named like a file without an ending.
NAMED = re.compile(
    r"`((?:tests|docs|functions|layers|local|cli|bench|stacks|openapi|requirements|pipelines|\.github)/(?:[^`\s*:]*(?:/|\.\w+))?)`"
)
DEFECT = re.compile(r"`([a-z_]+/[a-z0-9_]*)`")
PROMISE = re.compile(r"\| \*\*(.+?)\.\*\* ")


@dataclass(frozen=True)
class Promise:
    """A row of `docs/security.md`: the files of its tests, and the cell that names its seeded defects."""

    name: str
    tests: tuple[str, ...]
    defects: str

    @property
    def mutants(self) -> list[Mutant]:
        """The named defects; a folder stands for all of its own."""
        found = []
        for name in DEFECT.findall(self.defects):
            paths = sorted((PATCHES / name).glob("*.patch")) if name.endswith("/") else [PATCHES / f"{name}.patch"]
            found += [Mutant.read(path) for path in paths]
        return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def promises() -> list[Promise]:
    rows = [line for line in (DOCS / "security.md").read_text().splitlines() if PROMISE.match(line)]
    return [Promise(PROMISE.match(row)[1], tuple(NAMED.findall(cells(row)[-2])), cells(row)[-1]) for row in rows]


def requirements() -> dict[str, str]:
    lines = [line.split() for line in REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    return dict(lines)


def verdicts() -> list[list[str]]:
    """Return the cells of each row of the page about ASVS: id, level, topic, verdict, evidence or reason."""
    return [cells(line) for line in (DOCS / "asvs.md").read_text().splitlines() if re.match(r"\| V\d", line)]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_about_security_names_exists(page):
    named = NAMED.findall((DOCS / page).read_text())

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_promise_is_stated_once():
    assert [name for name, count in Counter(promise.name for promise in promises()).items() if count > 1] == []


@pytest.mark.parametrize("promise", promises(), ids=lambda promise: promise.name)
def test_a_seeded_defect_of_a_promise_is_noticed_by_a_test_of_its_row(promise):
    unrelated = [mutant.path for mutant in promise.mutants if not any(test.startswith(promise.tests) for test in mutant.kills)]

    assert unrelated == []
    assert promise.mutants or len(promise.defects.split()) > 5, "name a seeded defect, or say why there is none"


def test_every_requirement_of_asvs_at_levels_1_and_2_has_one_verdict():
    assert len(requirements()) == 253
    assert Counter(row[0] for row in verdicts()) == Counter(requirements().keys())
    assert [row[0] for row in verdicts() if (f"L{row[1]}", row[3] in VERDICTS) != (requirements()[row[0]], True)] == []


def test_a_met_requirement_names_its_evidence_and_another_its_reason():
    without = [
        id
        for id, _, topic, verdict, evidence in verdicts()
        if not topic or not (NAMED.search(evidence) or "](" in evidence if verdict == "met" else len(evidence.split()) > 1)
    ]

    assert without == []


def test_the_page_about_asvs_counts_its_verdicts():
    counts = Counter(row[3] for row in verdicts())
    sentence = f"{counts['met']} are met, {counts['partly']} partly, {counts['not met']} not, and {counts['not applicable']} do not apply"

    assert sentence in (DOCS / "asvs.md").read_text().replace("\n", " ")
