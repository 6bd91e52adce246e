"""`llm-comply`, which checks a server against OpenAI's own description of Chat Completions, on the chat function."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.vendor import streams
from tests.functions.chat.openai_api.test_client_tools import calls_with
from tests.functions.chat.openai_api.test_reasoning import answers
from tests.functions.tools.http_server import serving_function

CHECKS = (
    *("chat-basic-response", "chat-system-prompt", "chat-multi-turn", "chat-tool-calling", "chat-streaming-response"),
    *("chat-streaming-usage", "chat-image-input", "chat-reasoning-summary", "chat-error-handling"),
)


def answer(handler):
    """Answer as a model would: with a call if one is required, with reasoning if it is asked for, else with text."""
    asked = handler.request_body
    if asked.get("tool_choice") == "required":
        return calls_with('{"location": "San Francisco"}')(handler)
    if "reasoning_effort" in asked:
        return answers({"reasoning_content": "15 * 37"}, {"content": "555"})(handler)
    return streams("Hel", "lo")(handler)


@pytest.fixture
def checked(chat, vendor, alice):
    """Return the results of all checks by their names. Only a model whose name says so is asked for its reasoning."""
    vendor.script = answer
    with serving_function(chat, alice) as url:
        command = [
            Path(sys.executable).with_name("llm-comply"),
            "--format",
            "openai-chat",
            "-u",
            f"{url}/v1",
            "-k",
            "k",
            "-m",
            "gpt-5",
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return {result["id"]: result for result in json.loads(done.stdout)["results"]}


def test_every_check_passes_without_an_error_or_a_warning(checked):
    assert {name: (result["status"], result.get("errors"), result.get("warnings")) for name, result in checked.items()} == dict.fromkeys(
        CHECKS, ("passed", None, None)
    )
