"""The tool runner in the whole stack, invoked as chat does it."""

import json


def test_a_developer_can_run_a_tool_by_hand(stack):
    done = stack.parley("invoke", "ToolrunnerFunction", "-e", "events/toolrunner_run.json")

    assert json.loads(done.stdout) == {"ok": True, "content": "105"}, done.stderr


def test_it_is_reached_by_no_route(stack):
    assert stack.http.post("/toolrunner", json={"op": "list"}).status_code == 404
