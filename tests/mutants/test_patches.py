"""The seeded defects fit the code they are for; that they are noticed is for `make mutants` to show."""

import subprocess

import pytest

from tests.mutants.run import ROOT, Verdicts, judge, mutants

MUTANTS = mutants([])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.patch.stem)
def test_a_patch_can_be_applied(mutant):
    checked = subprocess.run(["git", "apply", "--check", str(mutant.patch)], cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.patch.stem)
def test_a_patch_names_tests_that_there_are(mutant):
    for name in mutant.kills:
        path, _, test = name.partition("::")
        assert f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(), name


@pytest.mark.parametrize(
    ("verdicts", "is_killed"),
    [
        (Verdicts({"t::a"}, {"t::a": "assert 1 == 2"}, {}), True),
        (Verdicts({"t::a[x]", "t::a[y]"}, {"t::a[y]": "Failed: DID NOT RAISE"}, {}), True),
        (Verdicts({"t::a"}, {}, {}), False),
        (Verdicts({"t::a"}, {"t::a": "ImportError: no module"}, {}), False),
        (Verdicts({"t::a"}, {"t::a": "NameError: name 'x' is not defined"}, {}), False),
        (Verdicts({"t::a"}, {"t::a": "assert 0"}, {"t::b": "failed on setup"}), False),
        (Verdicts({"t::ab"}, {"t::ab": "assert 0"}, {}), False),
    ],
)
def test_only_a_failed_assertion_of_the_named_test_is_a_kill(verdicts, is_killed):
    mutant = MUTANTS[0].__class__(MUTANTS[0].patch, "X1", "title", ("t::a",))

    assert (judge(mutant, verdicts) == "") == is_killed
