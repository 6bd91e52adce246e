"""The import contracts of pyproject.toml hold, and each of them notices when it is broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("functions", "local", "cli", "openapi", "layers/shared/parley")
LINTER = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def copy(tmp_path):
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(root):
    path = os.pathsep.join(map(str, (root, root / "layers" / "shared")))
    done = subprocess.run(
        [LINTER, "--no-cache"], cwd=root, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    return {line.partition(" BROKEN")[0] for line in done.stdout.splitlines() if " BROKEN" in line}


def append(root, name, line):
    with (root / name).open("a") as file:
        file.write(f"\n{line}\n")


def test_the_tree_keeps_every_contract(copy):
    assert broken_contracts(copy) == set()


def test_each_contract_notices_an_import_that_breaks_it(copy):
    append(copy, "layers/shared/parley/auth/principal.py", "import parley.db.engine")
    append(copy, "layers/shared/parley/memory/facts.py", "import parley.db.engine")
    append(copy, "layers/shared/parley/ids.py", "import functions.chat.errors")
    append(copy, "functions/auth/errors.py", "import functions.chat.errors")
    append(copy, "functions/chat/errors.py", "import openapi.document")
    append(copy, "functions/chat/turn/state.py", "import fastapi\nimport sqlalchemy\nimport openai")
    append(copy, "functions/web/routes.py", "import parley.http.dependencies")
    append(copy, "cli/output.py", "import parley.ids")

    assert broken_contracts(copy) == {
        "The layer's packages import downwards only",
        "Functions never import each other",
        "The API description's generator is not imported at run time",
        "The layer, the emulator and the client import no function",
        "The client talks HTTP only",
        "Models and memory do not import the database",
        "The web function does not import the database",
        "FastAPI stays in parley.http, routes and responses",
        "A vendor's SDK stays in that vendor's module",
        "SQL stays in parley.db",
    }
