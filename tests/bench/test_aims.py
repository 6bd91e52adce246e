import pytest

from bench.__main__ import BENCHMARKS, DOCS, documented, report
from bench.harness.aims import Figure, Section

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


def test_every_measuring_module_is_run():
    assert {"latency", "fairness", "cold_start", "accounts"} <= BENCHMARKS.keys()
