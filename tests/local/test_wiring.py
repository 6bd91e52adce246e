"""What this machine offers the template."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from local.services.all import Services
from local.settings import Settings
from local.template.load import load
from local.wiring import parameters

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


def key_of_chat() -> str:
    services = cast(Services, SimpleNamespace(parameters={}))
    stack = load(TEMPLATE, overrides={}, offered=parameters(Settings(template=TEMPLATE), services))
    return stack.functions["ChatFunction"].environment["OPENAI_API_KEY"]


def test_a_developers_own_key_reaches_the_chat_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-their-own")

    assert key_of_chat() == "sk-their-own"


def test_without_a_key_the_variable_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    assert key_of_chat() == ""
