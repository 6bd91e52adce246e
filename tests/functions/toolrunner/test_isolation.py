"""Whatever a tool does, its caller gets a result, and the next call finds a working tool runner."""

import re

import pytest

from parley.tools.invoker import Invoker
from parley.tools.outcome import run_safely
from tests.functions.toolrunner.conftest import ADA, ROOT
from tests.local.running_emulator import eventually


def works(runner):
    return runner.run("echo", text="hello").content == "hello"


@pytest.mark.parametrize("name", ["hang", "hang_without_the_lock", "hang_awaiting"])
def test_a_tool_that_hangs_is_ended_and_the_next_call_works(runner, name):
    outcome = runner.run(name, timeout_s=0.3)

    assert (outcome.ok, outcome.content) == (False, "The tool did not respond within 0.3 seconds and was stopped.")
    assert works(runner)


def test_a_tools_own_time_goes_before_its_callers(runner):
    outcome = run_safely("impatient", lambda: runner.run("impatient", timeout_s=10))

    assert not outcome.ok
    assert outcome.elapsed_ms < 9000


@pytest.mark.parametrize("name", ["leave", "die"])
def test_a_tool_that_ends_its_process_has_crashed_and_the_next_call_works(runner, name):
    outcome = runner.run(name)

    assert (outcome.ok, outcome.content) == (False, "The tool crashed.")
    assert works(runner)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("give_up", "The tool failed (SystemExit: enough)."),
        ("fail", "The tool failed (ValueError: the sky is [redacted])."),
        ("recurse", "The tool failed (RecursionError: maximum recursion depth exceeded"),
        ("babble", "The tool's output cannot be used: object is neither text nor JSON."),
        ("loop", "The tool's output cannot be used: list is neither text nor JSON."),
        ("nothing_that_is_a_number", "The tool's output cannot be used: dict is neither text nor JSON."),
        ("there_is_none", "Unknown tool 'there_is_none'."),
    ],
)
def test_the_reason_of_a_failure_reaches_the_model(runner, name, reason):
    outcome = runner.run(name)

    assert not outcome.ok
    assert outcome.content.startswith(reason)


def test_arguments_that_do_not_fit_run_nothing(runner):
    assert runner.run("echo", text="a", caller="b").content.startswith("Invalid arguments for echo: caller")
    assert runner.run("echo", text=5).content.startswith("Invalid arguments for echo: text")


def test_more_than_64_kib_are_cut_with_a_note(runner):
    outcome = runner.run("flood", size=1_000_000)

    assert outcome.ok
    assert len(outcome.content.encode()) <= 64 * 1024
    assert outcome.content.endswith("[Truncated: the result is longer.]")


def test_the_caller_sets_the_user_and_the_arguments_cannot(runner):
    assert runner.run("who").content == str(ADA)
    assert not runner.run("who", call={"user_id": "somebody"}, user_id="somebody").ok


def test_a_tool_does_not_see_the_stacks_services_and_keys(runner, monkeypatch):
    seen = runner.run("surroundings").content

    assert "PARLEY_GEOCODING_URL" in seen
    for name in ("PGPASSFILE", "DATABASE", "AWS_ENDPOINT_URL", "WIRED", "API_KEY", "QUEUE", "KEYS_PATH", str(runner.running.url)):
        assert name not in seen


def test_a_broken_plugin_is_reported_and_the_others_work(runner):
    listed = runner.invoker.ask({"op": "list"}, timeout_s=10)
    reasons = {plugin["plugin"]: plugin["reason"].split(":")[0] for plugin in listed["broken"]}

    assert reasons == {
        "broken_import.py": "ModuleNotFoundError",
        "broken_exit.py": "SystemExit",
        "broken_name.py": "ToolUnusable",
        "broken_empty.py": "ToolUnusable",
    }
    assert runner.run("calculator", expression="2+2").content == "4"
    assert works(runner)


def test_the_specs_say_where_tools_come_from(runner):
    specs = {spec.name: spec for spec in runner.invoker.specs()}

    assert (specs["weather"].source, specs["weather"].egress) == ("builtin", True)
    assert (specs["fetch_url"].is_enabled, specs["fetch_url"].egress) == (False, True)
    assert (specs["hang"].source, specs["impatient"].timeout_s) == ("plugin", 0.3)
    assert specs["flood"].parameters["properties"] == {"size": {"type": "integer"}}


def test_the_plugin_of_the_guide_works_without_a_restart(runner):
    source = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tools.md").read_text(), re.DOTALL)[0]
    assert "roll" not in {spec.name for spec in runner.invoker.specs()}
    (runner.plugins / "dice.py").write_text(source)

    assert eventually(lambda: "roll" in {spec.name for spec in runner.invoker.specs()})
    assert 1 <= int(runner.run("roll", sides=20).content) <= 20


def test_the_weather_without_a_network_gives_a_reason(runner):
    outcome = runner.run("weather", location="Lisbon")

    assert (outcome.ok, outcome.content.startswith("The weather service cannot be reached.")) == (False, True)


def test_an_unreachable_tool_runner_gives_a_reason(runner):
    nobody = Invoker("NobodyFunction")

    assert nobody.specs() == ()
    assert nobody.run("echo", {}, user_id=ADA, timeout_s=1).content == "The tool is currently unavailable."


def test_arguments_that_are_not_json_give_a_failure(runner):
    assert not runner.invoker.run("echo", {"text": object()}, user_id=ADA, timeout_s=1).ok
