"""Reload on save: saved changes take effect, and running requests are undisturbed."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.template.load import load
from tests.local.conftest import STACK
from tests.local.running_emulator import RunningEmulator, eventually
from tests.support.time_limits import HANG_S

HANDLER = "import os\ndef handler(event, context):\n    return {{'statusCode': 200, 'body': '{word} ' + str(os.getpid())}}\n"
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.13, Handler: app.handler, Timeout: 20, Layers: [!Ref Shared]}}
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: test
      GatewayResponses:
        INTEGRATION_FAILURE:
          StatusCode: 502
          ResponseParameters: {Headers: {Content-Type: "'application/problem+json'"}}
          ResponseTemplates: {application/json: '{"type":"about:blank","title":"Bad gateway","status":502,"detail":"It failed."}'}
  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: shared}}
  OneFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: one
      Events:
        One: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /one, Method: get}}
  TwoFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: two
      Events:
        Two: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /two, Method: get}}
  StreamFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: stream
      Handler: streams.handler
      Events:
        Stream: {Type: Api, Properties: {RestApiId: !Ref Api, Path: "/stream/{kind}", Method: get, ResponseTransferMode: RESPONSE_STREAM}}
"""
ROUTE = "\n        More: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /more, Method: get}}\n  StreamFunction:"


class EditableStack:
    """A running stack and its source folder."""

    def __init__(self, running: RunningEmulator, folder: Path) -> None:
        self.running, self.folder = running, folder

    def get(self, path: str) -> str:
        return self.running.get(path).text

    def pid(self, path: str) -> str:
        return self.get(path).split()[-1]

    def save(self, name: str, text: str) -> None:
        """Replace a file as editors do, by renaming a new one."""
        draft = self.folder / f"{name}~"
        draft.write_text(text)
        draft.replace(self.folder / name)

    def prints(self, text: str) -> bool:
        """Wait for a text on the terminal; fail with the terminal's content."""
        assert eventually(lambda: text in self.running.terminal.getvalue()), self.running.terminal.getvalue()
        return True


@pytest.fixture
def edited(tmp_path: Path) -> Iterator[EditableStack]:
    """A running stack with two functions, a streaming function and a layer."""
    folder = tmp_path / "stack"
    for name in ("one", "two", "stream", "shared"):
        (folder / name).mkdir(parents=True)
    for name in ("one", "two"):
        (folder / name / "app.py").write_text(HANDLER.format(word="first"))
    shutil.copy(STACK.parent / "handlers" / "streams.py", folder / "stream")
    (folder / "shared" / "lib.py").touch()
    (folder / "template.yaml").write_text(TEMPLATE)
    stack = load(folder / "template.yaml", overrides={})
    with RunningEmulator.started(stack, logs=tmp_path / "logs", watching=folder / "template.yaml") as running:
        assert eventually(lambda: all(pool.states()["idle"] for pool in running.emulator.fleet.pools.values()))
        time.sleep(0.2)  # the watcher has started by then
        yield EditableStack(running, folder)


def test_a_saved_file_runs_at_once_and_the_other_functions_go_on(edited: EditableStack) -> None:
    other = edited.pid("/two")
    edited.save("one/app.py", HANDLER.format(word="second"))

    assert eventually(lambda: "second" in edited.get("/one"))
    assert edited.prints("reloaded one (app.py) in ")
    assert edited.pid("/two") == other


def test_a_file_of_the_layer_restarts_all(edited: EditableStack) -> None:
    before = edited.pid("/one"), edited.pid("/two")
    edited.save("shared/lib.py", "x = 2\n")

    assert edited.prints("reloaded one, stream, two (lib.py) in ")
    assert not {edited.pid("/one"), edited.pid("/two")} & set(before)


def test_a_stream_that_runs_ends_on_its_old_worker(edited: EditableStack, tmp_path: Path) -> None:
    before = edited.get("/stream/ok").split()[-1]
    gate, bodies = tmp_path / "gate", []
    reading = threading.Thread(target=lambda: bodies.append(edited.running.get("/stream/gated", params={"gate": str(gate)}).text))
    reading.start()
    assert eventually(lambda: edited.running.emulator.fleet.pools["StreamFunction"].states()["busy"])
    edited.save("stream/extra.py", "x = 1\n")
    assert edited.prints("reloaded stream (extra.py)")
    after = edited.get("/stream/ok").split()[-1]
    gate.touch()
    reading.join(HANG_S)

    assert bodies == [f"first last {before}"]
    assert after != before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nobody_has_this\n", "Unable to import module 'app': No module named 'nobody_has_this'"),
        ("def handler(\n", "Syntax error in module 'app'"),
        ("raise ValueError('not configured')\n", "not configured"),
    ],
)
def test_what_cannot_be_imported_is_told_and_heals(edited: EditableStack, text: str, reason: str) -> None:
    edited.save("one/app.py", text)
    assert edited.prints(f"OneFunction: cannot start: {reason}")

    broken = edited.running.get("/one")
    assert (broken.status_code, broken.headers["content-type"]) == (502, "application/problem+json")
    assert reason in broken.json()["detail"]
    assert "reloaded" not in edited.running.terminal.getvalue()

    edited.save("one/app.py", HANDLER.format(word="mended"))
    assert eventually(lambda: "mended" in edited.get("/one"))


def test_a_route_that_is_added_is_served_by_the_same_worker(edited: EditableStack) -> None:
    before = edited.pid("/two")
    edited.save("template.yaml", TEMPLATE.replace("\n  StreamFunction:", ROUTE))

    assert eventually(lambda: edited.running.get("/more").status_code == 200)
    assert edited.pid("/more") == before
    assert edited.prints("reloaded template.yaml (3 functions, 4 routes) in ")


def test_a_function_that_is_added_is_run_and_watched(edited: EditableStack) -> None:
    (edited.folder / "three").mkdir()
    (edited.folder / "three" / "app.py").write_text(HANDLER.format(word="three"))
    block = TEMPLATE[TEMPLATE.index("  TwoFunction:") : TEMPLATE.index("  StreamFunction:")]
    edited.save("template.yaml", TEMPLATE + block.replace("Two", "Three").replace("two", "three"))
    assert eventually(lambda: "three" in edited.get("/three"))

    time.sleep(0.3)
    edited.save("three/app.py", HANDLER.format(word="watched"))
    assert eventually(lambda: "watched" in edited.get("/three"))


def test_a_function_that_is_removed_is_gone_and_the_rest_stays(edited: EditableStack) -> None:
    before = edited.pid("/one")
    start, end = TEMPLATE.index("  TwoFunction:"), TEMPLATE.index("  StreamFunction:")
    edited.save("template.yaml", TEMPLATE[:start] + TEMPLATE[end:])

    assert eventually(lambda: edited.running.get("/two").status_code == 403)
    assert edited.running.invoke("TwoFunction", {}).status_code == 404
    assert edited.pid("/one") == before


def test_a_changed_definition_restarts_its_function_only(edited: EditableStack) -> None:
    one, two = edited.pid("/one"), edited.pid("/two")
    edited.save("template.yaml", TEMPLATE.replace("CodeUri: one", "CodeUri: one\n      MemorySize: 256"))

    assert eventually(lambda: edited.pid("/one") != one)
    assert edited.pid("/two") == two


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TEMPLATE.replace("CodeUri: two", "CodeUri: nowhere"), "template.yaml:24: TwoFunction: the folder 'nowhere' does not exist"),
        (TEMPLATE.replace("Globals: {", "Globals: {{"), "template.yaml:"),
        (TEMPLATE.replace("Resources:", "Resources: 1\nOther:"), "template.yaml: Resources: the template has no Resources section"),
        ("", "template.yaml"),
        (TEMPLATE.replace("Globals: {Function:", "Globals: {Function: 7, X:"), "template.yaml"),
        (TEMPLATE.replace("Events:\n        Two: {", "Events: [\n        {"), "template.yaml"),
    ],
)
def test_a_broken_template_is_told_and_the_old_one_stays(edited: EditableStack, text: str, told: str) -> None:
    before = edited.pid("/one")
    edited.save("template.yaml", text)

    assert edited.prints(told)
    assert edited.prints("the previous version keeps running")
    assert edited.pid("/one") == before

    edited.save("template.yaml", TEMPLATE.replace("\n  StreamFunction:", ROUTE))
    assert eventually(lambda: edited.running.get("/more").status_code == 200)


@pytest.mark.parametrize(
    "name", ["one/.#app.py", "one/app.py.swp", "one/app.py~", "one/__pycache__/app.py", "one/.parley/kept.toml", "two.py"]
)
def test_what_is_not_source_restarts_nothing(edited: EditableStack, name: str) -> None:
    before = edited.pid("/one")
    (edited.folder / name).parent.mkdir(exist_ok=True)
    (edited.folder / name).write_text("x")
    edited.save("two/app.py", HANDLER.format(word="second"))

    assert edited.prints("reloaded two (app.py)")
    assert edited.pid("/one") == before


def test_several_files_saved_together_are_one_reload(edited: EditableStack) -> None:
    for name in ("one/b.py", "one/a.py", "two/c.toml"):
        edited.save(name, "x = 1\n")

    assert edited.prints("reloaded one, two (a.py, b.py, c.toml) in ")
