"""Template parameters and environment variables from this machine."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from local.parameters import template_parameters
from local.services.stack_services import StackServices
from local.settings import EmulatorSettings
from local.template.load import load

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


def key_of_chat() -> str:
    return environment_of_chat()["OPENAI_API_KEY"]


def environment_of_chat() -> Mapping[str, str]:
    services = cast(StackServices, SimpleNamespace(parameters={}))
    stack = load(TEMPLATE, overrides={}, offered=template_parameters(EmulatorSettings(template=TEMPLATE), services))
    return stack.functions["ChatFunction"].environment


def test_a_developers_own_key_reaches_the_chat_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-their-own")

    assert key_of_chat() == "sk-their-own"


def test_without_a_key_the_variable_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    assert key_of_chat() == ""


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PARLEY_RATE_PER_MINUTE", "7"), ("PARLEY_BUDGET_USD", "0.25"), ("PARLEY_RATE_PER_MINUTE", None), ("PARLEY_BUDGET_USD", None)],
)
def test_a_developers_limits_reach_the_chat_function(monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None) -> None:
    monkeypatch.delenv(variable, raising=False)
    if value:
        monkeypatch.setenv(variable, value)

    assert environment_of_chat()[variable] == (value or {"PARLEY_RATE_PER_MINUTE": "60", "PARLEY_BUDGET_USD": "5"}[variable])
