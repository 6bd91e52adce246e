"""A turn's events in the form of AG-UI 1.0, the Agent-User Interaction Protocol (https://docs.ag-ui.com/spec/1.0).

A conversation is a thread, and a turn is a run. A turn that waits ends its run with an interrupt for each approval and question; the
events of its end, after the decisions, are those of the same run from its beginning on.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from functions.chat.turn.events import (
    AnswerDelta,
    MemoryUsed,
    NumberedEvent,
    Ping,
    SourceGiven,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    TurnStopped,
    TurnWaiting,
)
from functions.chat.turn.tool_events import ToolAnswered, ToolApproval, ToolCalled, ToolQuestion

type AgUiEvent = dict[str, Any]

PROTOCOL_VERSION = "1.0"
_APPROVAL_SCHEMA = {"type": "object", "properties": {"approve": {"type": "boolean"}}, "required": ["approve"]}
_ANSWERS_SCHEMA = {"type": "object", "properties": {"answers": {"type": ["object", "null"]}}, "required": ["answers"]}


@dataclass(frozen=True, slots=True)
class AgUiRun:
    """A run that a client has named. With `is_resumed`, it continues a turn that waited, so its events lack the turn's first."""

    thread_id: str
    run_id: str
    is_resumed: bool = False


def ag_ui_events(events: Iterator[NumberedEvent | Ping], run: AgUiRun | None = None) -> Iterator[AgUiEvent | Ping]:
    """Yield a turn's events, from its first on, in AG-UI's form. Pings are yielded as they are.

    Without a `run`, the thread is the conversation, and the run is the turn.
    """
    translation = _Translation({"threadId": run.thread_id, "runId": run.run_id} if run else {})
    if run and run.is_resumed:
        yield translation.started()
    for event in events:
        if isinstance(event, Ping):
            yield event
        else:
            yield from translation.translate(event.event.name, event.event.data())


class _Translation:
    """The state of a run: its ids, its open text message, and the approvals and answers that it needs."""

    def __init__(self, ids: dict[str, str]) -> None:
        self._ids = ids
        self._messages = 0
        self._open_message: str | None = None
        self._interrupts: list[dict[str, Any]] = []

    def translate(self, name: str, data: Mapping[str, Any]) -> Iterator[AgUiEvent]:
        """Yield the AG-UI events of one event of the turn."""
        if name == AnswerDelta.name:
            yield from self._text(data["text"])
            return
        yield from self._close_message()
        match name:
            case TurnStarted.name:
                turn = {name: data[name] for name in ("conversation_id", "turn_id")}
                is_named = bool(self._ids)
                self._ids = self._ids or {"threadId": turn["conversation_id"], "runId": turn["turn_id"]}
                yield self.started()
                if is_named:
                    yield {"type": "CUSTOM", "name": "parley.turn", "value": turn}
            case MemoryUsed.name | SourceGiven.name:
                yield {"type": "CUSTOM", "name": f"parley.{name}", "value": dict(data)}
            case ToolCalled.name:
                yield from _tool_call(data)
            case ToolApproval.name:
                self._interrupts.append(_interrupt(data))
            case ToolQuestion.name:
                self._interrupts.append(_question_interrupt(data))
            case ToolAnswered.name:
                yield _tool_result(data)
            case TurnCompleted.name:
                yield self._finished({"type": "success"}, data)
            case TurnStopped.name:
                yield self._finished({"type": "cancelled"}, data)
            case TurnWaiting.name:
                pending = [interrupt for interrupt in self._interrupts if interrupt["id"] in data["call_ids"]]
                yield self._finished({"type": "interrupt", "interrupts": pending}, data)
            case TurnInterrupted.name:
                yield {"type": "RUN_ERROR", "message": "The answer was interrupted.", "code": data["reason"]}
            case TurnFailed.name:
                yield {"type": "RUN_ERROR", "message": data["detail"], "code": data["code"], "rawEvent": dict(data)}

    def started(self) -> AgUiEvent:
        """Return the first event."""
        return {"type": "RUN_STARTED"} | self._ids | {"protocolVersion": PROTOCOL_VERSION}

    def _text(self, text: str) -> Iterator[AgUiEvent]:
        if self._open_message is None:
            self._messages += 1
            self._open_message = f"{self._ids['runId']}-{self._messages}"
            yield {"type": "TEXT_MESSAGE_START", "messageId": self._open_message, "role": "assistant"}
        yield {"type": "TEXT_MESSAGE_CONTENT", "messageId": self._open_message, "delta": text}

    def _close_message(self) -> Iterator[AgUiEvent]:
        if self._open_message is not None:
            yield {"type": "TEXT_MESSAGE_END", "messageId": self._open_message}
            self._open_message = None

    def _finished(self, outcome: Mapping[str, Any], data: Mapping[str, Any]) -> AgUiEvent:
        return {"type": "RUN_FINISHED"} | self._ids | {"outcome": outcome, "result": dict(data)}


def _tool_call(data: Mapping[str, Any]) -> Iterator[AgUiEvent]:
    id = {"toolCallId": data["call_id"]}
    yield {"type": "TOOL_CALL_START"} | id | {"toolCallName": data["name"]}
    yield {"type": "TOOL_CALL_ARGS"} | id | {"delta": json.dumps(data["arguments"], ensure_ascii=False)}
    yield {"type": "TOOL_CALL_END"} | id


def _tool_result(data: Mapping[str, Any]) -> AgUiEvent:
    id = data["call_id"]
    return {"type": "TOOL_CALL_RESULT", "messageId": f"{id}-result", "toolCallId": id, "content": data["content"], "role": "tool"}


def _interrupt(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": data["call_id"],
        "reason": "approval",
        "message": f"Approve the call of {data['name']}?",
        "toolCallId": data["call_id"],
        "responseSchema": _APPROVAL_SCHEMA,
    }


def _question_interrupt(data: Mapping[str, Any]) -> dict[str, Any]:
    form = data["form"]
    texts = [form["message"], *(field["text"] for field in form["fields"])]
    return {
        "id": data["question_id"],
        "reason": "input",
        "message": "\n".join(filter(None, texts)),
        "toolCallId": data["call_id"],
        "responseSchema": _ANSWERS_SCHEMA,
        "metadata": {"form": form},
    }
