from dataclasses import replace

import pytest

from bench.__main__ import BENCHMARKS, documented, report
from bench.harness.aims import Figure, Section, aims_table
from bench.harness.documents import DOCS

SECTION = Section("## Turns", [Figure("first token", 0.3, "×", at_most=0.4), Figure("streams", 2.0, "×", at_least=2.5)])


@pytest.mark.parametrize(
    ("figure", "cells"),
    [
        (Figure("a", 12.04, "ms", at_most=12), ["a", "12.0 ms", "≤ 12 ms", "not reached"]),
        (Figure("a", 2.5, "×", at_least=2.5), ["a", "2.50×", "≥ 2.5×", "reached"]),
        (Figure("a", None, "s", at_most=1), ["a", "–", "≤ 1 s", "not measured"]),
        (Figure("a", 1.0, "%"), ["a", "1.0%", "", ""]),
    ],
    ids=["over its aim", "at its aim", "not measured", "without an aim"],
)
def test_a_figure_is_compared_with_its_aim(figure, cells):
    assert figure.row() == cells


def test_the_report_begins_with_every_figure_and_its_aim():
    document = report("a machine", [SECTION], load=0.5)

    assert document.index("first token") < document.index("streams") < document.index("## Turns")
    assert "Not a good run" not in document


def test_a_run_beside_other_load_is_not_called_good():
    assert "Not a good run" in report("a machine", [SECTION], load=1.1)


def test_a_run_replaces_the_aims_of_the_page():
    page = DOCS.read_text()

    once = documented(page, "a machine", [SECTION])

    assert "first token" in once
    assert documented(once, "a machine", [SECTION]) == once


def test_only_an_aim_that_is_not_reached_is_explained():
    missed = Figure("turns", 1.0, "×", at_least=2.5, reason="The disk.")
    kept = Figure("gaps", 1.0, "ms", at_most=3, reason="Not this.")
    not_measured = Figure("imports", None, "×", at_most=1, reason="Nor this.")

    shown = aims_table([Section("", [missed, kept, not_measured, replace(missed, name="streams")])])

    assert "- **turns; streams.** The disk." in shown
    assert "this" not in shown


def test_a_run_replaces_the_cost_of_a_turn_in_the_page():
    cost = Section("## The cost of a turn\n\n| CPU |", marker="profile")

    page = documented(DOCS.read_text(), "a machine", [SECTION, cost])

    assert "<!-- profile: begin -->\n\na machine\n\n| CPU |\n\n<!-- profile: end -->" in page
    assert page.count("## The cost of a turn\n") == 1


def test_every_measuring_module_is_run():
    assert {"latency", "fairness", "cold_start", "accounts"} <= BENCHMARKS.keys()
