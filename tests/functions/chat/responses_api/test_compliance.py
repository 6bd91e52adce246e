"""`llm-comply`, which checks a server against the Open Responses description, on the chat function."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functions.chat.openai_api.test_compliance import answer
from tests.functions.tools.http_server import serving_function

CHECKS = (
    *("basic-response", "system-prompt", "multi-turn", "tool-calling", "streaming-response", "streaming-usage", "image-input"),
    *("assistant-phase", "response-output-phase-schema", "compact-response", "compact-missing-model", "reasoning-summary"),
    "error-handling",
)


@pytest.fixture
def checked(chat, vendor, alice):
    """Return the results of all checks by their names. Only a model whose name says so is asked for its reasoning."""
    vendor.script = answer
    with serving_function(chat, alice) as url:
        options = ["--format", "open-responses", "-u", f"{url}/v1", "-k", "k", "-m", "gpt-5", "--json"]
        command = [Path(sys.executable).with_name("llm-comply"), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return {result["id"]: result for result in json.loads(done.stdout)["results"]}


def test_every_check_passes_without_an_error_or_a_warning(checked):
    assert {name: (result["status"], result.get("errors"), result.get("warnings")) for name, result in checked.items()} == dict.fromkeys(
        CHECKS, ("passed", None, None)
    )
