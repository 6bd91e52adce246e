"""The cold start of HTTP functions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FUNCTIONS = sorted(path.parent for path in (Path(__file__).parents[3] / "functions").glob("*/routes.py"))
CODE = """
from parley.http import cold_start
from fastapi.openapi.models import Info
from pydantic import BaseModel
class Own(BaseModel):
    number: int
cold_start.finish()
print(Info.__pydantic_complete__, Own.__pydantic_complete__, Info(title="t", version="1").title)
"""


def test_only_the_models_of_fastapi_are_built_when_they_are_used():
    done = subprocess.run([sys.executable, "-c", CODE], env={"POWERTOOLS_SERVICE_NAME": "t"}, capture_output=True, check=True, text=True)

    assert done.stdout.split() == ["False", "True", "t"]


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_an_http_function_imports_its_cold_start_before_anything_else(folder):
    imports = [
        ast.unparse(node) for node in ast.parse((folder / "app.py").read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert imports[0] == "from parley.http import cold_start"
