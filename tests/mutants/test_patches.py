"""Every seeded defect applies to the current code and names existing tests; `make mutants` shows that those tests fail."""

import subprocess

import pytest

from tests.mutants.run import ROOT, Mutant, Verdicts, judge, mutants

MUTANTS = mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.path)
def test_a_patch_can_be_applied(mutant):
    checked = subprocess.run(["git", "apply", "--check", str(mutant.patch)], cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.path)
def test_a_patch_names_existing_tests(mutant):
    for name in mutant.kills:
        path, _, test = name.partition("::")
        assert f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(), name


def test_mutants_are_chosen_by_a_part_of_their_path():
    chosen = {mutant.path.partition("/")[0] for mutant in mutants(["login/", "one_time_code", "limits/rate"])}

    assert chosen == {"login", "limits"}


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
    mutant = Mutant(MUTANTS[0].patch, "title", ("t::a",))

    assert (judge(mutant, verdicts) == "") == is_killed
