"""The deployment artefacts, built for this machine and run as on Lambda."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from local.runtime import launch
from local.runtime.launch import LaunchSpec, launch_from_build
from local.runtime.outcome import HandlerResult
from local.runtime.pool import Pool
from local.sam_build.artefacts import ArtefactSize, size_table, unzipped_size
from local.sam_build.tree import RUNTIME_FOLDER, BuildTree, newer_source
from local.template import source
from local.template.load import load
from local.template.stack import Function
from tests.e2e.conftest import MODELS, ROOT, Stack
from tests.e2e.test_streaming import events_of
from tests.fakes.vendor import streams
from tests.functions.auth.authenticator import Authenticator
from tests.support.api_gateway import PASSWORD
from tests.support.time_limits import HANG_S

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="`sam build` fetches packages for Linux, as Lambda runs it"),
]

MAX_LAYER_BYTES = 20_000_000
NOWHERE: set[str] = set()
HTTP = {"AuthFunction", "ChatFunction", "ConversationFunction", "DocumentsFunction", "HealthFunction", "ToolsFunction", "WebFunction"}
DATABASE = HTTP - {"WebFunction"} | {"IngestFunction", "MigrateFunction", "SummarizeFunction", "UpkeepFunction"}
# The functions whose handlers may load each module on import; modules that are not listed may be loaded anywhere.
# Powertools loads botocore's empty top-level package to see whether it is installed.
ALLOWED = {
    "alembic": {"MigrateFunction"},
    "anthropic": NOWHERE,
    "argon2": {"AuthFunction"},
    "boto3": NOWHERE,
    "botocore.client": NOWHERE,
    "botocore.session": NOWHERE,
    "fastapi": HTTP,
    "jsonschema": NOWHERE,
    "mangum": HTTP,
    "mcp": NOWHERE,
    "openai": {"ChatFunction"},
    "psycopg": DATABASE,
    "selectolax": NOWHERE,
    "sqlalchemy": DATABASE,
    "starlette": HTTP,
}
RESOURCES = source.read_source(ROOT / "template.yaml").content["Resources"]
FUNCTIONS = sorted(name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Function")
IMPORT = """
import importlib, json, sys
sys.path[:0] = sys.argv[1].split(":")
module = importlib.import_module(sys.argv[2])
files = {name: getattr(found, "__file__", None) for name, found in list(sys.modules.items())}
print(json.dumps({"files": files, "cached": module.__spec__.cached, "code": module.handler.__module__, "path": sys.path}))
"""


@dataclass
class Built:
    """A built stack and the output of the build."""

    tree: BuildTree
    output: str

    @cached_property
    def functions(self) -> Mapping[str, Function]:
        return load(self.tree.template, overrides={}).functions

    def function(self, name: str) -> Function:
        return self.functions[name]

    def files(self) -> set[Path]:
        return set(self.tree.root.rglob("*"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The stack built for this machine: that of `make build ARCHITECTURE=native` in the folder `PARLEY_TEST_BUILD`, or a new one."""
    subprocess.run(["make", "runtime"], cwd=ROOT, check=True, capture_output=True)
    if folder := os.environ.get("PARLEY_TEST_BUILD"):
        tree = BuildTree(Path(folder).absolute())
        assert newer_source(tree) is None
        return Built(tree, size_table(tree))
    return build(tmp_path_factory.mktemp("built"))


def build(folder: Path) -> Built:
    command = [sys.executable, "-m", "local.sam_build", "native"]
    command += ["--build-dir", str(folder / "build"), "--cache-dir", str(folder / "cache")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    return Built(BuildTree(folder / "build"), done.stdout)


@pytest.fixture(scope="module")
def built_stack(built: Built, vendor: Any) -> Iterator[Stack]:
    """The running built stack."""
    with TemporaryDirectory(prefix="parley-built-") as folder:
        models = Path(folder) / "models.toml"
        models.write_text(MODELS.format(url=vendor.url))
        stack = Stack(Path(folder) / "data", models, "--built", str(built.tree.root))
        stack.start()
        yield stack
        stack.stop()


@pytest.fixture(scope="module")
def imported(built: Built) -> Any:
    """Import a handler as Lambda does, in a separate interpreter; return the loaded modules. Results are cached."""
    done: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        return done.setdefault(name, import_handler(built.function(name)))

    return of


def import_handler(function: Function) -> dict[str, Any]:
    spec = launch_from_build(function, runtime=RUNTIME_FOLDER)
    interpreter, *flags, _, paths = spec.command
    variables = launch.worker_environment(function, spec, runtime_api="127.0.0.1:9", extra_environment={})
    command = [interpreter, *flags, "-c", IMPORT, paths, function.handler.rpartition(".")[0]]
    done = subprocess.run(command, cwd=spec.root, env=variables, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_loads_only_what_its_function_may(imported: Any, name: str) -> None:
    loaded = ALLOWED.keys() & imported(name)["files"].keys()

    assert {module for module in loaded if name not in ALLOWED[module]} == set()


def test_the_layer_of_every_function_is_small(built: Built) -> None:
    [layer] = built.tree.attached_layers.values()

    assert ArtefactSize.of(layer.parent).zipped <= MAX_LAYER_BYTES


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_module_comes_from_the_build_the_runtime_or_the_standard_library(built: Built, imported: Any, name: str) -> None:
    origins = [Path(file) for file in imported(name)["files"].values() if file]
    allowed = [built.tree.root / name, *built.tree.layers.values(), RUNTIME_FOLDER, Path(json.__file__).parents[1]]

    assert [str(file) for file in origins if not any(file.is_relative_to(folder) for folder in allowed)] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_is_compiled_and_tells_its_place_on_lambda(built: Built, imported: Any, name: str) -> None:
    compiled = Path(imported(name)["cached"])
    unchecked_hash = b"\x01\x00\x00\x00"

    assert compiled.read_bytes()[4:8] == unchecked_hash
    assert b"/var/task/functions/" in compiled.read_bytes()
    assert str(built.tree.root).encode() not in compiled.read_bytes()


def test_a_worker_sees_neither_the_checkout_nor_the_environment(built: Built, tmp_path: Path) -> None:
    handler = "import sys\ndef handler(event, context):\n    return [sys.path, sys.prefix, sys.flags.isolated, sys.dont_write_bytecode]\n"
    (tmp_path / "seen.py").write_text(handler)
    layers = built.function("ChatFunction").layers
    function = Function(name="Seen", handler="seen.handler", root=tmp_path, folder=tmp_path, layers=layers)
    path, prefix, *flags = answer_of(function)

    assert path[:3] == [str(tmp_path), str(built.tree.layers["SharedLayer"]), str(RUNTIME_FOLDER)]
    assert not [one for one in path[3:] if Path(one).is_relative_to(ROOT) or "site-packages" in one]
    assert (prefix == sys.base_prefix, *flags) == (True, 1, True)


def test_the_built_embedder_carries_its_model_and_embeds(built: Built) -> None:
    answer = answer_of(built.function("EmbedderFunction"), {"texts": ["I am allergic to nuts.", ""]})
    folder = built.tree.root / "EmbedderFunction"

    assert [len(base64.b64decode(vector)) for vector in answer["vectors"]] == [4 * 384] * 2
    assert {path.name for path in (folder / "functions" / "embedder" / "model").iterdir()} >= {"model.onnx", "LICENSE", "MODEL_CARD.md"}
    assert not list(built.tree.layers["SharedLayer"].rglob("*.onnx"))


def test_a_function_and_its_layers_fit_lambdas_limit(built: Built) -> None:
    layers = sum(unzipped_size(path.parent) for path in built.tree.layers.values())

    assert max(map(unzipped_size, built.tree.functions.values())) + layers <= 250 * 2**20


def answer_of(function: Function, event: dict[str, Any] | None = None, *, spec: LaunchSpec | None = None) -> Any:
    outcome = asyncio.run(outcome_of(function, event or {}, spec or launch_from_build(function, runtime=RUNTIME_FOLDER)))
    assert isinstance(outcome, HandlerResult), outcome
    return json.loads(outcome.payload)


async def outcome_of(function: Function, event: dict[str, Any], spec: LaunchSpec) -> Any:
    pool = Pool(function, spec=spec, extra_environment={}, log=NullLog(), size=1)
    try:
        return await asyncio.wait_for(pool.submit(json.dumps(event).encode()).outcome, HANG_S)
    finally:
        await pool.stop()


class NullLog:
    """A log that discards everything."""

    def output(self, function: str, text: str) -> None: ...

    platform = alert = output


def test_a_person_registers_and_streams_a_chat(built: Built, built_stack: Stack, vendor: Any) -> None:
    vendor.script = streams("Bonjour", ", Ada")
    before = built.files()
    ada = built_stack.register()
    with ada.stream({"message": "Say hello in French"}) as response:
        events = list(events_of(response))

    assert [data["text"] for name, data in events if name == "text.delta"] == ["Bonjour", ", Ada"]
    assert [message["text"] for message in ada.messages(events[0][1]["conversation_id"])] == ["Say hello in French", "Bonjour, Ada"]
    assert built.files() == before


def test_a_passkey_is_verified_by_the_packages_of_the_build(built_stack: Stack) -> None:
    ada, origin = built_stack.register(), built_stack.url.replace("127.0.0.1", "localhost")
    options = ada.post("/auth/passkeys/begin", {"password": PASSWORD}).json()["public_key"]
    credential = Authenticator(origin=origin, rp_id="localhost").create(options)

    assert ada.post("/auth/passkeys", {"name": "Laptop", "credential": credential}).status_code == 201


def test_a_function_brings_nothing_that_its_layer_brings(built: Built) -> None:
    layer = {path.name for path in built.tree.layers["SharedLayer"].iterdir()}

    for folder in built.tree.functions.values():
        assert {path.name for path in folder.iterdir()} & layer <= {"__pycache__", "requirements.txt"}


def test_without_the_flag_no_version_is_published(built: Built) -> None:
    """With it, each build publishes versions, and a changed parameter reaches the alias only then."""
    assert "AutoPublishAlias" not in built.tree.template.read_text()


def test_the_sizes_are_told(built: Built) -> None:
    *_, header = [line for line in built.output.splitlines() if line.startswith("ARTEFACT")]
    rows = built.output[built.output.index(header) :].splitlines()[1:]

    assert [row.split()[0] for row in rows] == [*FUNCTIONS, "SharedLayer", "TelemetryLayer"]
    assert all(float(row.split()[1]) >= float(row.split()[2]) >= 0.01 for row in rows)
