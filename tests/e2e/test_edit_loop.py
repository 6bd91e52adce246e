"""Reload of the product's own code: edits take effect at once, and running answers continue."""

import threading
import time
from typing import Any

import pytest

from tests.e2e.conftest import Stack
from tests.e2e.test_streaming import events_of
from tests.fakes.vendor import streams
from tests.support.time_limits import HANG_S


class EditableStack:
    """A running stack and its copy of the sources."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.sources = stack, stack.sources

    def append(self, name: str, text: str) -> str:
        """Append a line to a file and return the previous content."""
        before = (self.sources / name).read_text()
        (self.sources / name).write_text(f"{before}{text}\n")
        return before

    def waits_for(self, text: str, within_s: float = HANG_S) -> bool:
        log, ends = self.stack.data.parent / "up.log", time.monotonic() + within_s
        while time.monotonic() < ends and text not in log.read_text():
            time.sleep(0.02)
        return text in log.read_text()


@pytest.fixture
def editable(fault_stack: Stack) -> EditableStack:
    """The stack that tests may break, and its sources."""
    return EditableStack(fault_stack)


def test_an_answer_that_is_being_written_survives_an_edit(editable: EditableStack, vendor: Any) -> None:
    may_go_on = threading.Event()
    vendor.script = streams("first ", "second", before=lambda index: index and may_go_on.wait(HANG_S))
    ada = editable.stack.register()
    with ada.stream({"message": "hello"}) as response:
        events = events_of(response)
        next(events), next(events)
        editable.append("functions/chat/turn/run.py", "# edited")
        assert editable.waits_for("reloaded chat (run.py) in ")
        may_go_on.set()

        assert [name for name, _ in events] == ["text.delta", "turn.completed"]
    assert ada.post("/chat", {"message": "again", "stream": False}).status_code == 200


def test_an_import_that_fails_is_a_502_with_its_reason_and_heals(editable: EditableStack) -> None:
    ada = editable.stack.register()
    before = editable.append("functions/conversation/routes.py", "import nobody_has_this")
    assert editable.waits_for("ConversationFunction: cannot start: Unable to import module")

    broken = ada.get("/conversations")
    assert (broken.status_code, broken.headers["content-type"], broken.json()["code"]) == (
        502,
        "application/problem+json",
        "function_failed",
    )
    assert "No module named 'nobody_has_this'" in broken.json()["detail"]

    (editable.sources / "functions/conversation/routes.py").write_text(before)
    assert editable.waits_for("reloaded conversation (routes.py) in ")
    assert ada.get("/conversations").status_code == 200
