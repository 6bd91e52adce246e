"""The lanes of the Makefile, which begin on a machine with nothing but Python, make and the registries."""

import re

import pytest

from tests.conftest import ROOT

_TARGET = re.compile(r"^([a-z-]+):(.*?)(?:##.*)?\n((?:\t.*\n)+)", re.MULTILINE)
LANES = {name: (needed, recipe) for name, needed, recipe in _TARGET.findall((ROOT / "Makefile").read_text())}
# It builds its own image, in which the stack runs.
_OWN_STACK = {"containers-test"}
_RUNS_STACK = re.compile(r"-m (?:pytest|tests\.(?!contract\.migration_lint)|bench|local\.sam_)")


@pytest.mark.parametrize("lane", [name for name, (_, recipe) in LANES.items() if _RUNS_STACK.search(recipe) and name not in _OWN_STACK])
def test_a_lane_that_runs_the_stack_first_makes_all_that_the_stack_needs(lane):
    assert "$(STACK)" in LANES[lane][0].split()


def test_the_lanes_are_found():
    assert {"test", "security", "chaos", "bench"} <= LANES.keys()
