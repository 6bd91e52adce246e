"""A canary in every text field of every route: none reaches a log line, a metric, a span or an error report."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from parley.observability import logger, traces
from parley.observability.error_reports import ErrorReporter
from parley.observability.sentry import SentrySink
from parley.observability.settings import ObservabilitySettings
from tests.contract.operations import Operation, filled, operations
from tests.fakes.cloudwatch import metric_lines
from tests.fakes.otlp_receiver import OtlpReceiver, running_otlp_receiver
from tests.fakes.sentry_server import running_sentry_server

CANARY = "canary7c1f"
SPECIAL = {"POST /documents"}  # multipart, below


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What the functions write into the log."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def requests_with_canaries(operation: Operation) -> Iterator[tuple[str, Any]]:
    """Yield (url, body): valid as far as the schema says, of wrong types, with unknown fields, and each field alone invalid."""
    url = operation.url(CANARY, **dict.fromkeys(operation.query, CANARY))
    yield url, None if operation.body is None else f'{{"{CANARY}": '
    yield operation.url(CANARY), None
    if operation.body is None:
        return
    body = filled(operation.body, f"{CANARY} {'password' * 3}")
    examples = operation.example()
    yield operation.url(CANARY), body
    yield operation.url(CANARY), {CANARY: CANARY}
    yield operation.url(CANARY), [CANARY]
    for name in body if isinstance(body, dict) else ():
        yield operation.url(CANARY), examples | {name: body[name]}
        yield operation.url(CANARY), examples | {name: {CANARY: [CANARY]}}


@pytest.mark.parametrize("operation", [one for one in operations() if str(one) not in SPECIAL], ids=str)
def test_no_text_of_a_request_reaches_a_log_line(operation, request, alice, admin, log_lines):
    function = request.getfixturevalue(operation.function)
    person = admin if operation.is_admins else alice
    for url, body in requests_with_canaries(operation):
        function.call(operation.method, url, body, as_=person if operation.is_guarded else None, headers={"X-Canary": CANARY})

    assert logged(log_lines)
    assert [line for line in logged(log_lines) if CANARY in line] == []


def logged(log_lines: io.StringIO) -> list[str]:
    return log_lines.getvalue().splitlines()


MODEL, TOOL = {"model": "offline"}, {"message": "What is 2 + 2?", "stream": False}
BEYOND_THE_SCHEMA = {
    "a tool's arguments": ("tools", "/tools/calculator/invoke", {"arguments": {"expression": CANARY}}, {}),
    "a tool's argument names": ("tools", "/tools/calculator/invoke", {"arguments": {CANARY: 1}}, {}),
    "an MCP client's arguments": (
        "tools",
        "/mcp",
        {"jsonrpc": "2.0", "id": CANARY, "method": "tools/call", "params": {"name": CANARY}},
        {},
    ),
    "an MCP method": (
        "tools",
        "/mcp",
        {"jsonrpc": "2.0", "id": 1, "method": CANARY},
        {"Mcp-Method": CANARY, "Mcp-Protocol-Version": CANARY},
    ),
    "names of tools": ("chat", "/chat", TOOL | {"tools": [CANARY]}, {}),
    "an image": ("chat", "/chat", TOOL | {"images": [f"data:{CANARY}/png;base64,{CANARY}"]}, {}),
    "a question": ("chat", "/chat", TOOL | {"message": CANARY}, {"Idempotency-Key": CANARY}),
    "a calculation": ("chat", "/chat", TOOL | {"message": f"What is {CANARY} + 2?"}, {}),
    "a stored completion": (
        "chat",
        "/v1/chat/completions",
        MODEL | {"messages": [{"role": "user", "content": CANARY}]},
        {"X-Conversation-Id": CANARY},
    ),
    "a tool's role": (
        "chat",
        "/v1/chat/completions",
        MODEL | {"messages": [{"role": "tool", "content": CANARY, "tool_call_id": CANARY}]},
        {},
    ),
    "a server's address": ("tools", "/tools/mcp-servers", {"name": "notes", "url": f"http://{CANARY}.invalid/{CANARY}?k={CANARY}"}, {}),
    "a server's header": ("tools", "/tools/mcp-servers", {"name": "n", "url": "http://127.0.0.1:9/", "headers": {CANARY: CANARY}}, {}),
    "a memory": ("conversation", "/memories", {"text": CANARY}, {"Idempotency-Key": CANARY}),
}


@pytest.mark.parametrize("case", BEYOND_THE_SCHEMA)
def test_no_text_deep_in_a_request_reaches_a_log_line(case, request, alice, log_lines):
    function, url, body, headers = BEYOND_THE_SCHEMA[case]
    for _ in range(2):
        request.getfixturevalue(function).call("POST", url, body, as_=alice, headers=headers)

    assert logged(log_lines)
    assert [line for line in logged(log_lines) if CANARY in line] == []


def test_neither_name_nor_content_of_a_file_reaches_a_log_line(documents, alice, log_lines):
    for content in (CANARY.encode(), b"\x89PNG" + b"\0" * 20 + CANARY.encode()):
        part = f'Content-Disposition: form-data; name="file"; filename="{CANARY}.bin"\r\nContent-Type: text/{CANARY}\r\n\r\n'.encode()
        body = b"--b\r\n" + part + content + b"\r\n--b--\r\n"
        documents.call("POST", "/documents", body.decode("latin-1"), as_=alice, headers={"Content-Type": "multipart/form-data; boundary=b"})

    assert logged(log_lines)
    assert [line for line in logged(log_lines) if CANARY in line] == []


def test_a_preferred_model_that_is_gone_is_not_named_in_a_log_line(auth, chat, alice, log_lines):
    auth.patch("/auth/me", {"default_model": CANARY}, as_=alice)
    chat.post("/chat", TOOL, as_=alice)

    assert [line for line in logged(log_lines) if CANARY in line] == []


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """Turn traces on."""
    with running_otlp_receiver() as running:
        monkeypatch.setattr(traces, "_tracer", traces.Tracer(ObservabilitySettings.read({"PARLEY_TRACES_ENDPOINT": running.url})))
        yield running


@pytest.mark.parametrize("case", BEYOND_THE_SCHEMA)
def test_no_text_deep_in_a_request_reaches_a_span_or_a_metric(case, request, alice, receiver, capsys):
    function, url, body, headers = BEYOND_THE_SCHEMA[case]
    request.getfixturevalue(function).call("POST", url, body, as_=alice, headers=headers)

    assert receiver.bodies
    assert [sent for sent in receiver.bodies if CANARY.encode() in sent] == []
    assert [line for line in metric_lines(capsys.readouterr().out) if CANARY in str(line)] == []


def test_the_text_of_an_answer_and_of_a_crash_reaches_no_span_no_metric_and_no_error_report(chat, alice, receiver, capsys, monkeypatch):
    def crash(*_arguments, **_options):
        words = CANARY
        raise KeyError(words)

    monkeypatch.setattr("functions.chat.turn.run.run_tool_loop", crash)
    with running_sentry_server() as sentry:
        reporter = ErrorReporter(SentrySink(ObservabilitySettings.read({"PARLEY_SENTRY_DSN": sentry.dsn})))
        others, logger._logger.filters = logger._logger.filters, [reporter]
        answer = chat.post("/chat", TOOL | {"message": CANARY}, as_=alice)
        logger._logger.filters = others

    assert (answer.status, len(sentry.events)) == (500, 1)
    assert CANARY.encode() not in sentry.envelopes[0]
    assert [sent for sent in receiver.bodies if CANARY.encode() in sent] == []
    assert [line for line in metric_lines(capsys.readouterr().out) if CANARY in str(line)] == []
