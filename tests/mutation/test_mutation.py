"""The lane of mutations: the operators for SQL, the map from lines to tests, the worker, and the verdicts."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.mutation.line_map import DESCRIPTION, MAX_OTHER_S, LineMap, cheapest, lines_after, lines_of_change, names_at
from tests.mutation.mutants import VERDICTS, Mutant, changed_lines, is_behaviour, verdicts
from tests.mutation.run import score
from tests.mutation.scope import GROUPS, ROOT, files_in_scope, group_of
from tests.mutation.sql_operators import sql_changes, unique
from tests.mutation.worker import MutantJob, Worker

MODULE = "layers/shared/parley/metering/limits.py"
HERE = "tests/mutation/test_mutation.py"
ANSWER = "test_answers.py::test_it"
QUICK, SLOW, GONE = f"{HERE}::test_every_group_has_files", f"{HERE}::test_a_mutant_that_loops_is_ended", f"{HERE}::test_gone"


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


def test_a_predicate_with_an_inserted_value_is_dropped_as_a_whole():
    source = 'AGE = "interval"\nSTATEMENT = text(f"DELETE FROM t WHERE started_at < now() - {AGE} AND x")'

    assert list(changes(source).items()) == [("drop_expiry", 'STATEMENT = text(f"DELETE FROM t WHERE true AND x")')]


@pytest.mark.parametrize("predicate", ["keys.c.user_id == user_id", "keys.c.revoked_at.is_(None)", "columns.expires_at > now"])
def test_a_comparison_of_a_column_becomes_true(predicate):
    assert changes(f"which = select().where({predicate})") == {
        "drop_column_predicate": 'which = select().where(__import__("sqlalchemy").true())'
    }


@pytest.mark.parametrize("clock", ["now()", "clock_timestamp() - interval '1 day'", ":now"])
def test_a_bound_at_the_clock_is_not_shifted(clock):
    assert "shift_bound" not in changes(f'STATEMENT = text("SELECT 1 FROM t WHERE due_at <= {clock} AND x")')


def test_text_that_is_no_sql_is_not_changed():
    assert changes('"""Tell whether user_id = :user_id."""\nlimit = "LIMIT 5"\n') == {}


def test_the_predicates_of_every_statement_with_a_user_are_found():
    source = (ROOT / "layers/shared/parley/db/turn/turns.py").read_text()
    dropped = [change for change in unique(sql_changes(source)) if change.operator == "drop_user"]

    assert len(dropped) == len(re.findall(r"user_id = (?::user_id|CAST\(:user_id AS uuid\))|u\.id = [as]\.user_id", source))


@pytest.mark.parametrize(("line", "used"), [(1, {6}), (9, {10}), (6, {6}), (13, {17, 21})])
def test_the_lines_that_depend_on_a_line_are_found(line, used):
    source = "_WHO = 'a'\n_SQL = f'{_WHO}'\n\n\ndef one():\n    return _SQL\n\n\ndef other(limit=5):\n    return limit\n\n\nclass Third:\n"
    source += "    LIMIT = 3\n\n    @cached(5)\n    def run(self): return 1\n\n\ndef fourth():\n    return Third()\n"

    assert lines_of_change(source, line) == used


def test_every_name_of_a_pair_that_is_assigned_together_is_followed_to_its_uses():
    source = "FIRST, (SECOND, *_) = 1, (2, 3)\n\n\ndef one():\n    return FIRST\n\n\ndef two():\n    return SECOND\n"

    assert lines_of_change(source, 1) == {5, 9}


@pytest.mark.parametrize("line", [1, 6])
def test_the_functions_that_use_one_with_a_cache_depend_on_its_lines(line):
    source = (
        "SIZE = 3\n\n\n@lru_cache(5)\ndef cached():\n    return SIZE\n\n\ndef user():\n    return cached()\n\n\ndef other():\n    pass\n"
    )

    assert lines_of_change(source, line) == {6, 10}


def test_a_change_inside_a_statement_of_several_lines_belongs_to_all_of_them():
    assert lines_of_change("def one():\n    if (\n        a\n        and b\n    ):\n        return f(\n            1,\n        )\n", 4) == {
        2,
        3,
        4,
        5,
    }


def test_the_cheapest_tests_of_a_line_decide():
    lines = LineMap({MODULE: {75: [SLOW, GONE, QUICK]}}, {QUICK: 0.1, GONE: 0.01, SLOW: 60.0})

    assert lines.tests_for(MODULE, 75) == [QUICK]


def test_the_tests_that_name_a_class_decide_about_its_fields():
    module = "layers/shared/parley/llm/errors.py"
    line = next(number for number, text in enumerate((ROOT / module).read_text().splitlines(), 1) if '"provider_timeout"' in text)
    naming = "tests/functions/embedder/test_app.py::test_texts_become_vectors_in_their_order_with_the_models_tokens"
    other = f"{HERE}::test_every_group_has_files"
    lines = LineMap({module: {line: [other]}}, {other: 0.1, naming: 0.1})

    assert names_at((ROOT / module).read_text(), line) == {"ProviderTimeout"}
    assert naming in lines.tests_for(module, line)


def test_a_change_that_was_not_noticed_is_shown_to_the_other_tests_of_its_line_and_folder():
    module, line = "layers/shared/parley/tools/arguments.py", 28
    near, elsewhere = (
        "tests/shared/tools/test_arguments.py::test_valid_arguments_have_no_errors",
        f"{HERE}::test_the_cheapest_tests_of_a_line_decide",
    )
    lines = LineMap({module: {line: [QUICK, SLOW]}}, {QUICK: 0.1, SLOW: 2 * MAX_OTHER_S, near: 0.1, elsewhere: 0.1})

    assert lines.other_tests_for(module, line, []) == [QUICK, near]
    assert lines.other_tests_for(module, line, [QUICK]) == [near]


def test_a_constant_that_was_not_noticed_is_shown_to_the_tests_of_a_module_that_imports_it():
    constant, importer = "layers/shared/parley/auth/client_origin.py", "layers/shared/parley/http/dependencies.py"
    line, use = (
        next(number for number, text in enumerate((ROOT / module).read_text().splitlines(), 1) if part in text)
        for module, part in ((constant, "MAX_USER_AGENT_LENGTH = "), (importer, "[:MAX_USER_AGENT_LENGTH]"))
    )

    assert LineMap({importer: {use: [QUICK]}}, {QUICK: 0.1}).other_tests_for(constant, line, []) == [QUICK]


def test_the_few_tests_for_which_a_condition_holds_decide_about_it_too():
    *usual, rare = (
        f"{HERE}::test_{name}" for name in ("every_group_has_files", "a_mutant_that_loops_is_ended", "the_cheapest_tests_of_a_line_decide")
    )
    start = next(number for number, line in enumerate((ROOT / MODULE).read_text().splitlines(), 1) if line.startswith("    if "))
    lines = LineMap({MODULE: {start: usual, start + 1: [rare]}}, dict.fromkeys([*usual, rare], 0.1))

    assert rare in lines.tests_for(MODULE, start)


@pytest.mark.parametrize(("line", "after"), [(1, []), (3, [3, 4, 5]), (4, [4]), (5, [5])])
def test_the_lines_that_only_run_after_a_line_are_found(line, after):
    source = "LIMIT = 3\ndef one(x):\n    if x:\n        return 2\n    return x\n\n\ndef two():\n    return LIMIT\n"

    assert list(lines_after(source, line)) == after


def test_all_cases_of_a_test_run_if_they_are_quick():
    case, other = f"{QUICK}[1]", f"{QUICK}[2]"
    quick, slow = (LineMap({MODULE: {75: [case]}}, {case: 0.1, other: seconds}) for seconds in (0.2, 9.0))

    assert (quick.tests_for(MODULE, 75), slow.tests_for(MODULE, 75)) == ([QUICK], [case])
    assert quick.seconds_of([QUICK]) == pytest.approx(0.3)


def test_a_test_named_like_the_module_comes_before_a_quicker_one():
    near, far = "tests/shared/metering/test_limits.py::test_a", "tests/shared/http/test_paging.py::test_b"

    assert cheapest(MODULE, [far, near], {near: 0.1, far: 0.05}) == [near, far]


def test_a_test_in_the_modules_own_folder_comes_before_one_of_its_routes():
    module = "layers/shared/parley/db/responses_api/responses.py"
    near, far = "tests/shared/db/test_rows.py::test_a", "tests/functions/chat/responses_api/test_responses.py::test_b"

    assert cheapest(module, [far, near], {near: 0.1, far: 0.1}) == [near, far]


def test_only_one_case_of_a_test_with_parameters_is_run():
    assert cheapest(MODULE, ["t.py::test_a[2]", "t.py::test_a[1]"], {"t.py::test_a[1]": 0.2, "t.py::test_a[2]": 0.1}) == ["t.py::test_a[2]"]


@pytest.mark.parametrize(
    ("file", "text", "is_described"),
    [
        ("functions/auth/groups/schemas.py", "Usd = Annotated", True),
        ("functions/auth/groups/schemas.py", "name: GroupName", True),
        ("functions/auth/groups/routes.py", "limit=page.limit + 1", False),
        (MODULE, "is_low: bool", False),
    ],
)
def test_the_description_of_the_api_decides_last_about_a_model(file, text, is_described):
    number = next(number for number, line in enumerate((ROOT / file).read_text().splitlines(), 1) if text in line)

    assert (LineMap({}, {}).tests_for(file, number)[-1:] == [DESCRIPTION]) is is_described


def test_a_test_file_that_ran_again_has_the_lines_of_its_last_run():
    lines = LineMap({}, {})
    lines.add({"tests": ["t.py::a", "u.py::b"], "seconds": [1, 1], "lines": {MODULE: {"5": [0, 1]}}})
    lines.add({"tests": ["t.py::c"], "seconds": [1], "lines": {MODULE: {"6": [0]}}})

    assert lines.tests == {MODULE: {5: ["u.py::b"], 6: ["t.py::c"]}}


def test_a_mutant_that_no_test_runs_counts_as_one_that_survives():
    assert score(["killed", "killed", "survived", "untested", "equivalent", "unjudged"]) == (2, 4)


def test_every_group_has_files():
    assert {group for group in GROUPS for file in files_in_scope() if file.startswith(group)} == set(GROUPS)


@pytest.mark.parametrize(
    ("before", "after", "is_changed"),
    [
        ("def ask(first, *, second):", "def ask(first, /, second):", False),
        ("*,", "/,", False),
        ("self, texts, *, purpose", "self, texts, /, purpose", False),
        ("usd = tokens * price_usd", "usd = tokens / price_usd", True),
        ("@dataclass(frozen=True, slots=True)", "@dataclass(frozen=False, slots=True)", False),
        ("FIRST_TIMEOUT_S, TIMEOUT_S = 7, 3", "FIRST_TIMEOUT_S, TIMEOUT_S = 7, 4", False),
        ("_RETRY_MS = 5", "_RETRY_MS =  6", False),
        ("client(read_timeout_s=2, retries=3)", "client(read_timeout_s= 3, retries=3)", False),
        ("client(read_timeout_s=2, retries=3)", "client(read_timeout_s=2, retries= 4)", True),
        ("MAX_KEYS = 50", "MAX_KEYS =  51", True),
        ('ConfigDict(extra="forbid", frozen=True, strict=True)', 'ConfigDict(extra="forbid", frozen=False, strict=True)', False),
        ('ConfigDict(extra="forbid", frozen=True, strict=True)', 'ConfigDict(extra="forbid", frozen=True, strict=False)', True),
        ("rows = page(limit=page.limit + 1)", "rows = page(limit=page.limit +  2)", False),
        ("rows = page(limit=page.limit + 1)", "rows = page(limit=page.limit - 1)", True),
        ("if time.monotonic() < self._due_s:", "if time.monotonic() <= self._due_s:", False),
        ("if time.monotonic() - sent_s >= PING_S:", "if time.monotonic() - sent_s > PING_S:", False),
        ("if time.monotonic() - sent_s >= PING_S:", "if time.monotonic() + sent_s >= PING_S:", True),
        ("if deadline.left_s <= 0:", "if deadline.left_s <= 1:", False),
        ("if deadline.left_s <= 0:", "if not deadline.left_s <= 0:", True),
        ("if timeout_s > 0:", "if timeout_s >= 0:", True),
        ("if TYPE_CHECKING:", "if not TYPE_CHECKING:", False),
    ],
)
def test_signatures_frozen_classes_pauses_and_moments_are_not_changed(before, after, is_changed):
    assert is_behaviour(Mutant(MODULE, "NumberReplacer", 1, "", before, after)) is is_changed


@pytest.mark.parametrize(
    ("before", "after", "operator", "is_changed"),
    [
        ("keys.c.expires_at > func.now()", "keys.c.expires_at >= func.now()", "Gt_GtE", False),
        ("keys.c.leased_until >= func.clock_timestamp()", "keys.c.leased_until > func.clock_timestamp()", "GtE_Gt", False),
        ("keys.c.expires_at > func.now()", "keys.c.expires_at < func.now()", "Gt_Lt", True),
        ("keys.c.id < after", "keys.c.id <= after", "Lt_LtE", True),
        ("usage.c.at >= start", "usage.c.at > start", "GtE_Gt", True),
    ],
)
def test_the_very_moment_at_which_a_time_ends_is_not_changed(before, after, operator, is_changed):
    assert is_behaviour(Mutant(MODULE, f"ReplaceComparisonOperator_{operator}", 1, "", before, after)) is is_changed


def test_every_verdict_is_about_a_line_that_is_still_there():
    texts = {file: " ".join(line.strip() for line in Path(ROOT, file).read_text().splitlines()) for file, _, _ in verdicts()}

    assert [key for key in verdicts() if key[1] not in texts[key[0]]] == []


@pytest.mark.parametrize("group", GROUPS)
def test_the_verdicts_on_a_group_stand_in_its_file(group):
    path = VERDICTS / f"{group}.toml"
    files = [one["file"] for one in tomllib.loads(path.read_text())["equivalent"]] if path.exists() else []

    assert {group_of(file) for file in files} <= {group}
    assert files == sorted(files)


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """A worker for a tree with one module and its test, without a database."""
    (tmp_path / "answers.py").write_text("def answer():\n    return 42\n")
    (tmp_path / "test_answers.py").write_text("import answers\n\n\ndef test_it():\n    assert answers.answer() == 42\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\npythonpath = .\n")
    worker = Worker(None, tmp_path, root=tmp_path)
    monkeypatch.setattr(worker, "_renew_database", lambda: None)
    return worker


@pytest.mark.parametrize(("body", "passed", "failed"), [("return 42", [ANSWER], []), ("return 41", [], [ANSWER])])
def test_a_worker_tests_the_changed_code_and_leaves_the_file_as_it_was(worker, tmp_path, body, passed, failed):
    outcome = worker.run(MutantJob([ANSWER], 1.0, {"answers.py": f"def answer():\n    {body}\n"}))

    assert (outcome.passed, outcome.failed, outcome.broken) == (passed, failed, []), outcome.output
    assert list(outcome.messages) == failed
    assert (tmp_path / "answers.py").read_text() == "def answer():\n    return 42\n"


def test_a_mutant_that_loops_is_ended(worker, monkeypatch):
    monkeypatch.setattr("tests.mutation.worker._LEAST_CPU_S", 0.5)

    assert worker.run(MutantJob(["test_answers.py"], 0.0, {"answers.py": "while True:\n    pass\n"})).signal == "SIGPROF"
