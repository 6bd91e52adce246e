"""The build for arm64, on which Lambda runs Parley by default: its packages load, and its functions run, where
necessary in an emulator.

Not part of `make test`, because it needs packages of Debian: `make build-test`.
"""

import base64
import json
import struct
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from functions.embedder.sentence_model import SentenceModel
from local.runtime import launch
from local.runtime.launch import LaunchSpec, launch_from_build
from local.template.stack import Function
from parley.settings import DatabaseSettings
from tests.conftest import ROOT
from tests.e2e.test_built import FUNCTIONS, Built, answer_of, build
from tests.emulation.python import NoPython, arm64_python
from tests.functions.embedder.test_sentence_model import REFERENCE
from tests.support.time_limits import HANG_S

# Imports a handler and then every extension module of a folder, and loads every other library in it.
LOAD = """
import ctypes, importlib, os, pathlib, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
import psycopg
folder, handler = pathlib.Path(sys.argv[2]), sys.argv[3]
if handler:
    importlib.import_module(handler)
for file in sorted(folder.rglob("*.so*")):
    if ".cpython-" in file.name or ".abi3." in file.name:
        importlib.import_module(".".join(file.relative_to(folder).with_name(file.name.partition(".")[0]).parts))
    else:
        ctypes.CDLL(file)
    print(file.name)
"""
LAYERS = ("SharedLayer", "TelemetryLayer")


@dataclass(frozen=True)
class Arm64Build:
    """The build, the command that runs Python for its processor, and the folder with AWS's runtime for that processor."""

    built: Built
    python: tuple[str, ...]
    runtime: Path

    def function(self, name: str, **variables: str) -> Function:
        """A function with these environment variables, and with time for an emulator."""
        function = self.built.function(name)
        return replace(function, timeout_s=HANG_S, environment={**function.environment, **variables})

    def spec(self, function: Function) -> LaunchSpec:
        spec = launch_from_build(function, runtime=self.runtime)
        return replace(spec, command=(*self.python, *spec.command[1:]), fork_command=())

    def answer(self, function: Function, event: dict[str, Any]) -> Any:
        return answer_of(function, event, spec=self.spec(function))

    def loaded(self, folder: Path, function: Function, handler: str = "") -> list[str]:
        """Load all that is compiled for the processor in a folder, as the function; return the names of the files."""
        spec = self.spec(function)
        *interpreter, _, paths = spec.command
        variables = launch.worker_environment(function, spec, runtime_api="127.0.0.1:9", extra_environment={})
        command = [*interpreter, "-c", LOAD, f"{paths}:{folder}", str(folder), handler]
        done = subprocess.run(command, cwd=spec.root, env=variables, capture_output=True, text=True, timeout=2 * HANG_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def arm64(tmp_path_factory: pytest.TempPathFactory) -> Arm64Build:
    try:
        python = arm64_python(ROOT / ".tools" / "arm64")
    except NoPython as error:
        pytest.fail(f"the build for arm64 is not tested: {error}")
    folder = tmp_path_factory.mktemp("arm64")
    command = [".tools/bin/uv", "pip", "install", "--quiet", "--require-hashes", "--python", ".venv/bin/python"]
    command += ["--python-platform", "aarch64-manylinux_2_34", "--target", str(folder / "runtime")]
    subprocess.run([*command, "-r", "requirements/runtime.txt"], cwd=ROOT, check=True)
    return Arm64Build(build(folder, "arm64"), python, folder / "runtime")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_and_all_its_libraries_load(arm64: Arm64Build, name: str) -> None:
    function = arm64.function(name)
    libraries = {path.name for path in function.root.rglob("*.so*")}

    assert set(arm64.loaded(function.root, function, function.handler.rpartition(".")[0])) >= libraries


@pytest.mark.parametrize("name", LAYERS)
def test_all_libraries_of_a_layer_load(arm64: Arm64Build, name: str) -> None:
    folder = arm64.built.tree.layers[name]
    libraries = {path.name for path in folder.rglob("*.so*")}

    assert libraries
    assert set(arm64.loaded(folder, arm64.function("WebFunction"))) >= libraries


def test_a_text_has_the_same_vector_as_on_this_machine(arm64: Arm64Build) -> None:
    answer = arm64.answer(arm64.function("EmbedderFunction"), {"texts": list(REFERENCE)})
    vectors = [struct.unpack("<384f", base64.b64decode(vector)) for vector in answer["vectors"]]
    model = SentenceModel()

    for text, vector in zip(REFERENCE, vectors, strict=True):
        here = struct.unpack("<384f", model.embed(text)[0])
        assert sum(a * b for a, b in zip(vector, here, strict=True)) > 0.9995
        assert sum(a * b for a, b in zip(vector, REFERENCE[text], strict=True)) > 0.999


def test_a_function_reaches_the_database(arm64: Arm64Build, environment: dict[str, str], database: DatabaseSettings) -> None:
    event = json.loads((ROOT / "events" / "health_ready.json").read_text())
    answer = arm64.answer(arm64.function("HealthFunction", **environment), event)

    assert (answer["statusCode"], json.loads(answer["body"])["checks"]["database"]["status"]) == (200, "ok")
