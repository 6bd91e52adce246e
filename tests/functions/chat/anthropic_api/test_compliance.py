"""`llm-comply`, which checks a server against Anthropic's own description of the Messages API, on the chat function."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.vendor import sends
from tests.fakes.wire_formats import anthropic
from tests.functions.tools.http_server import serving_function

CHECKS = (
    *("anth-basic-response", "anth-system-prompt", "anth-multi-turn", "anth-tool-calling", "anth-streaming-response"),
    *("anth-streaming-usage", "anth-image-input", "anth-thinking-display", "anth-error-handling"),
)


def answer(handler):
    """Answer as a model would: with calls if one is required, with a thought if it is asked for, else with text."""
    asked = handler.request_body
    if asked.get("tool_choice", {}).get("type") == "any":
        return sends(anthropic.calls())(handler)
    thought = anthropic.block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "15 * 37"},
        {"type": "signature_delta", "signature": "sealed"},
    )
    text = anthropic.block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hello there"})
    return sends(anthropic.framed(*(thought if "thinking" in asked else []), *text, reason="end_turn"))(handler)


@pytest.fixture
def checked(chat, vendor, alice):
    """Return the results of all checks by their names. Only a model whose name says so is asked for its reasoning."""
    vendor.script = answer
    with serving_function(chat, alice) as url:
        command = [
            *(Path(sys.executable).with_name("llm-comply"), "--format", "anthropic", "-u", f"{url}/v1"),
            *("--auth-header", "x-api-key", "--no-bearer", "-k", "k", "-m", "claude-sonnet-4", "--json"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return {result["id"]: result for result in json.loads(done.stdout)["results"]}


def test_every_check_passes_without_an_error_or_a_warning(checked):
    assert {name: (result["status"], result.get("errors"), result.get("warnings")) for name, result in checked.items()} == dict.fromkeys(
        CHECKS, ("passed", None, None)
    )
