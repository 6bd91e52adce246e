import json
from pathlib import Path
from typing import Any

import pytest

from local.template import source
from local.template.load import load
from local.template.stack import Stack
from local.template.translate import translate

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The template as the emulator and the contract read it: translated by AWS's own code."""
    return load(TEMPLATE, overrides={})


@pytest.fixture(scope="session")
def translated() -> dict[str, Any]:
    """The CloudFormation template that `sam deploy` would hand over."""
    return translate(source.read(TEMPLATE), {})


@pytest.fixture(scope="session")
def openapi(translated: dict[str, Any]) -> dict[str, Any]:
    """The REST API's definition in it."""
    body: dict[str, Any] = translated["Resources"]["Api"]["Properties"]["Body"]
    return body


@pytest.fixture(scope="session")
def events() -> dict[str, dict[str, Any]]:
    """Every file of events/, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}
