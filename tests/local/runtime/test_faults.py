"""Failing functions over HTTP."""

from pathlib import Path

import pytest

from tests.local.running_emulator import RunningEmulator, eventually


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("exception", "ValueError: the handler raised"),
        ("exit", "Runtime.ExitError: Runtime exited with error: exit status 3"),
        ("hang", "Sandbox.Timedout: Task timed out after 2.00 seconds"),
        ("big", "Function.ResponseSizeTooLarge"),
        ("malformed", "it is not an object"),
    ],
)
def test_a_function_that_fails_is_502_and_the_next_request_is_served(running: RunningEmulator, kind: str, reason: str) -> None:
    assert running.get(f"/fault/{kind}").status_code == 502

    assert eventually(lambda: reason in running.terminal.getvalue())
    assert running.get("/fault/none").status_code == 200


def test_an_exception_leaves_the_worker_running(running: RunningEmulator) -> None:
    before = running.get("/fault/none").text
    running.get("/fault/exception")

    assert running.get("/fault/none").text == before


@pytest.mark.parametrize("kind", ["exit", "hang"])
def test_a_worker_that_ended_is_replaced(running: RunningEmulator, kind: str) -> None:
    before = running.get("/fault/none").text
    running.get(f"/fault/{kind}")

    assert running.get("/fault/none").text != before


def test_a_function_slower_than_its_route_is_504_and_goes_on(running: RunningEmulator, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    answer = running.get("/slow", params={"seconds": "0.8", "mark": str(mark)})

    assert answer.status_code == 504
    assert not mark.exists()
    assert eventually(mark.exists)


def test_a_function_that_cannot_be_imported_is_502_each_time(running: RunningEmulator) -> None:
    assert [running.get("/broken").status_code for _ in range(2)] == [502, 502]
    assert "BrokenFunction: cannot start: Unable to import module 'broken'" in running.terminal.getvalue()


def test_an_init_error_is_the_invocations_error(running: RunningEmulator) -> None:
    answer = running.invoke("BrokenFunction", {})

    assert answer.headers["x-amz-function-error"] == "Unhandled"
    assert answer.json()["errorType"] == "Runtime.ImportModuleError"


def test_a_very_long_traceback_arrives_too(running: RunningEmulator) -> None:
    assert running.invoke("FaultFunction", {"kind": "deep"}).json()["errorType"] == "RecursionError"


def test_output_goes_to_the_functions_own_log(running: RunningEmulator) -> None:
    running.get("/fault/exception")
    log = running.logs / "FaultFunction.log"

    assert eventually(lambda: "the handler raised" in log.read_text())
    assert eventually(lambda: "Max Memory Used:" in log.read_text())
