"""The lane of mutations: the operators for SQL, the map from lines to tests, and the verdicts."""

import re
from pathlib import Path

import pytest

from tests.mutation.coverage_map import CoverageMap, files_in_scope, lines_that_use, read_ranges, write_ranges
from tests.mutation.mutants import ROOT, changed_lines, is_behaviour, verdicts
from tests.mutation.sql_operators import sql_changes, unique


def changes(source):
    return {change.operator: changed_lines(source, change.source)[1] for change in unique(sql_changes(source))}


@pytest.mark.parametrize(
    ("operator", "sql", "changed"),
    [
        ("drop_user", "SELECT 1 FROM t WHERE t.user_id = :user_id AND x", "SELECT 1 FROM t WHERE true AND x"),
        ("drop_user", "DELETE FROM t WHERE user_id = CAST(:user_id AS uuid)", "DELETE FROM t WHERE true"),
        ("drop_status", "SELECT 1 FROM t WHERE status IN ('a', 'b')", "SELECT 1 FROM t WHERE true"),
        ("drop_null", "SELECT 1 FROM t WHERE a.revoked_at IS NULL", "SELECT 1 FROM t WHERE true"),
        ("drop_expiry", "SELECT 1 FROM t WHERE expires_at > now() AND x", "SELECT 1 FROM t WHERE true AND x"),
        ("drop_expiry", "SELECT 1 FROM t WHERE started_at < now() - interval '1 day'", "SELECT 1 FROM t WHERE true"),
        ("drop_flag", "SELECT 1 FROM t WHERE x AND NOT c.is_incognito", "SELECT 1 FROM t WHERE x AND true"),
        ("drop_limit", "SELECT 1 FROM t LIMIT :limit", "SELECT 1 FROM t "),
        ("drop_lock", "SELECT 1 FROM t FOR UPDATE OF t SKIP LOCKED", "SELECT 1 FROM t "),
        ("shift_bound", "SELECT 1 FROM t WHERE a <= b", "SELECT 1 FROM t WHERE a < b"),
    ],
)
def test_an_operator_drops_one_part_of_a_statement(operator, sql, changed):
    assert changes(f'STATEMENT = text("{sql}")')[operator] == f'STATEMENT = text("{changed}")'


@pytest.mark.parametrize("predicate", ["keys.c.user_id == user_id", "keys.c.revoked_at.is_(None)", "columns.expires_at > now"])
def test_a_comparison_of_a_column_becomes_true(predicate):
    assert changes(f"which = select().where({predicate})") == {
        "drop_column_predicate": 'which = select().where(__import__("sqlalchemy").true())'
    }


def test_text_that_is_no_sql_is_not_changed():
    assert changes('"""Tell whether user_id = :user_id."""\nlimit = "LIMIT 5"\n') == {}


def test_the_predicates_of_every_statement_with_a_user_are_found():
    source = (ROOT / "layers/shared/parley/db/turn/turns.py").read_text()
    dropped = [change for change in unique(sql_changes(source)) if change.operator == "drop_user"]

    assert len(dropped) == len(re.findall(r"user_id = (?::user_id|CAST\(:user_id AS uuid\))|u\.id = [as]\.user_id", source))


def test_a_statement_is_tested_by_the_functions_that_run_it(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("_WHO = 'a'\n_SQL = f'{_WHO}'\n\n\ndef one():\n    return _SQL\n\n\ndef other():\n    return 1\n")

    assert lines_that_use(module, 1) == {6}


def test_the_quickest_test_files_of_a_line_are_chosen():
    coverage = CoverageMap({"tests/mutation/run.py": {"slow": "1-9", "quick": "8", "other": "1-3"}}, {"slow": 50.0, "quick": 1.0})

    assert coverage.tests_for("tests/mutation/run.py", 8, max_s=20.0) == ["quick"]
    assert coverage.tests_for("tests/mutation/run.py", 8, max_s=60.0) == ["quick", "slow"]


def test_ranges_are_read_as_they_were_written():
    assert (write_ranges({1, 2, 3, 5}), read_ranges("1-3 5")) == ("1-3 5", {1, 2, 3, 5})


def test_the_map_names_existing_modules_and_tests():
    stored = CoverageMap.read()
    tests = {test for found in stored.lines.values() for test in found} | stored.seconds.keys()

    assert stored.lines.keys() <= set(files_in_scope())
    assert [test for test in tests if not (ROOT / test).is_file()] == []


@pytest.mark.parametrize("line", ["def ask(first, *, second):", "@dataclass(frozen=True, slots=True)"])
def test_a_signature_and_a_dataclass_are_not_changed(line):
    assert not is_behaviour(line)


def test_every_verdict_is_about_a_line_that_is_still_there():
    texts = {file: " ".join(line.strip() for line in Path(ROOT, file).read_text().splitlines()) for file, _, _ in verdicts()}

    assert [key for key in verdicts() if key[1] not in texts[key[0]]] == []
