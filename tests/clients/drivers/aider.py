"""Aider, in a repository of its own."""

import os
import sys
from pathlib import Path

from checks import ANSWER, KEY, MODEL, QUESTION, URL, check, command

OPTIONS = [
    "--openai-api-base",
    f"{URL}/v1",
    "--yes-always",
    "--no-git",
    "--no-check-update",
    "--no-show-model-warnings",
    "--analytics-disable",
]
QUIET = ["--no-pretty", "--no-gitignore", "--no-show-release-notes", "--no-detect-urls", "--no-suggest-shell-commands"]
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


def aider(model: str, key: str, *words: str) -> str:
    """Run aider with one message and return its output."""
    program = str(Path(sys.executable).with_name("aider"))
    return command(program, "--model", f"openai/{model}", "--openai-api-key", key, *OPTIONS, *QUIET, *words)


@check("answer")
def _() -> None:
    assert ANSWER in aider(MODEL, KEY, "--chat-mode", "ask", "--no-stream", "--message", QUESTION)


@check("stream")
def _() -> None:
    assert ANSWER in aider(MODEL, KEY, "--chat-mode", "ask", "--message", QUESTION)


@check("errors")
def _() -> None:
    for output, error in [
        (aider("no-such-model", KEY, "--message", QUESTION), "NotFoundError"),
        (aider(MODEL, "wrong", "--message", QUESTION), "AuthenticationError"),
    ]:
        assert error in output, output[-3000:]
