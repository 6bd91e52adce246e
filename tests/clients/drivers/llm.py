"""The program `llm`."""

import json
import os
import sys
from pathlib import Path

from checks import ANSWER, KEY, MODEL, PERSON, QUESTION, TOOL_ANSWER, TOOL_QUESTION, URL, check, command, equal

LLM = str(Path(sys.executable).with_name("llm"))
FOLDER = Path(os.environ["HOME"]) / "llm"
CONFIG = """
- model_id: parley
  model_name: {model}
  api_base: {url}/v1
  api_key_name: parley
  supports_tools: true
  supports_schema: true
"""

FOLDER.mkdir()
FOLDER.joinpath("extra-openai-models.yaml").write_text(
    CONFIG.format(model=MODEL, url=URL) + CONFIG.format(model="no-such-model", url=URL).replace(": parley\n  model", ": lost\n  model")
)
os.environ["LLM_USER_PATH"] = str(FOLDER)
command(LLM, "keys", "set", "parley", "--value", KEY)


@check("answer")
def _() -> None:
    equal(command(LLM, "-m", "parley", "--no-stream", QUESTION).strip(), ANSWER)


@check("stream")
def _() -> None:
    equal(command(LLM, "-m", "parley", QUESTION).strip(), ANSWER)


@check("tools")
def _() -> None:
    add = "def add(a: int, b: int) -> int:\n    'Add two numbers.'\n    return a + b"
    equal(command(LLM, "-m", "parley", "--functions", add, TOOL_QUESTION).strip(), TOOL_ANSWER)


@check("structured output")
def _() -> None:
    equal(json.loads(command(LLM, "-m", "parley", "--schema", "name, age int", QUESTION)), PERSON)


@check("errors")
def _() -> None:
    assert "no-such-model" in command(LLM, "-m", "lost", QUESTION, status=1)
    assert "401" in command(LLM, "-m", "parley", "--key", "wrong", QUESTION, status=1)
