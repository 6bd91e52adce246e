"""Every seeded defect applies to the current code and names existing tests; `make mutants` shows that those tests fail."""

import subprocess

import pytest

from tests.mutants.run import Mutant, judge, mutants, verdicts_of
from tests.mutants.tree_copy import ROOT, Verdicts
from tests.mutation.worker import Outcome

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
        (Verdicts({"t::a"}, {"t::a": "ProgrammingError: (psycopg.errors.UndefinedColumn) column x"}, {}), False),
        (Verdicts({"t::a"}, {"t::a": "assert 0"}, {"t::b": "failed on setup"}), False),
        (Verdicts({"t::ab"}, {"t::ab": "assert 0"}, {}), False),
    ],
)
def test_only_a_failed_assertion_of_the_named_test_is_a_kill(verdicts, is_killed):
    mutant = Mutant(MUTANTS[0].patch, "title", (), ("t::a",))

    assert (judge(mutant, verdicts) == "") == is_killed


def test_a_defect_is_made_in_a_copy_of_its_files():
    mutant = next(mutant for mutant in MUTANTS if mutant.path == "second_factor/code_works_twice")
    (file,) = mutant.files

    assert "last_step <= step" in mutant.sources()[file]
    assert "last_step <= step" not in (ROOT / file).read_text()


@pytest.mark.parametrize(
    ("outcome", "errors"),
    [
        (Outcome(["t::b"], ["t::a"], [], {"t::a": "assert 0"}, exit_code=1), set()),
        (Outcome([], ["t::a"], ["t::a"], {"t::a": "no fixture"}, exit_code=1), {"t::a"}),
        (Outcome(["t::b"], ["t::a"], [], {"t::a": "assert 0"}, signal="SIGPROF"), {"the worker"}),
        (Outcome(exit_code=4), {"the worker"}),
    ],
)
def test_what_a_worker_could_not_run_is_an_error(outcome, errors):
    verdicts = verdicts_of(outcome)

    assert verdicts.errors.keys() == errors
    assert verdicts.failed.keys() == set(outcome.failed) - errors
