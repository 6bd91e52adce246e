"""One correlation id leads from the gateway through the queues and the tool runner to every log line."""

import json
import time

from tests.support.time_limits import HANG_S


def lines_of(stack, correlation_id):
    """Return the JSON log lines with this correlation id, by function."""
    found = {}
    for path in (stack.data / "logs").glob("*.log"):
        texts = [line for line in path.read_text(errors="replace").splitlines() if line.startswith("{")]
        lines = [json.loads(text) for text in texts]
        if mine := [line for line in lines if line.get("correlation_id") == correlation_id]:
            found[path.stem] = mine
    return found


def wait_for_lines(stack, correlation_id, *functions):
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends:
        if set(functions) <= (found := lines_of(stack, correlation_id)).keys():
            return found
        time.sleep(0.1)
    raise AssertionError((functions, lines_of(stack, correlation_id)))


def test_a_turn_its_tool_and_its_title_have_the_id_of_the_request(stack, ada):
    response = ada.post("/chat", {"message": "What is 2 + 2?", "model": "offline", "tools": True, "stream": False})
    found = wait_for_lines(stack, response.headers["X-Request-Id"], "ChatFunction", "ToolrunnerFunction", "SummarizeFunction")

    assert [result["content"] for result in response.json()["tool_results"]] == ["4"]
    assert any(line.get("turn_id") == response.json()["turn_id"] for line in found["ChatFunction"])
    searched = stack.parley("logs", "--turn", response.json()["turn_id"])
    assert {line.split()[1] for line in searched.stdout.splitlines()} >= {"chat", "toolrunner", "summarize"}, searched.stderr
    assert len({line["user_id"] for line in found["ToolrunnerFunction"] + found["SummarizeFunction"] if "user_id" in line}) == 1


def test_a_document_is_ingested_under_the_id_of_its_upload(stack, ada):
    response = ada._http.post("/documents", files={"file": ("notes.txt", b"The tide is high.", "text/plain")}, headers=ada.headers)
    found = wait_for_lines(stack, response.headers["X-Request-Id"], "DocumentsFunction", "IngestFunction")

    assert any(line["message"] == "document_ingested" for line in found["IngestFunction"])
