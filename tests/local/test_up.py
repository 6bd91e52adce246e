"""`parley up` as a process: start, services, stop and kill."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from local.ports import free_port
from local.services import pgbouncer
from local.settings import EmulatorSettings
from tests.local.conftest import STACK
from tests.local.running_emulator import eventually
from tests.local.runtime.test_pool import is_alive
from tests.support.time_limits import HANG_S


@dataclass
class Up:
    """A run of the command."""

    process: subprocess.Popen[str]
    url: str
    port: int
    data: Path
    output: Path

    def get(self, path: str) -> Any:
        return httpx2.get(self.url + path, timeout=HANG_S).json()

    def invoke(self, event: Any) -> Any:
        return httpx2.post(f"{self.url}/_local/lambda/2015-03-31/functions/EchoFunction/invocations", json=event, timeout=HANG_S).json()

    def use(self, service: str, method: str, **arguments: Any) -> Any:
        event = {"service": service, "method": method, **arguments}
        answer = httpx2.post(f"{self.url}/_local/lambda/2015-03-31/functions/WorkFunction/invocations", json=event, timeout=HANG_S)
        assert "X-Amz-Function-Error" not in answer.headers, answer.text
        return answer.json()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        return "Parley is up at" in self.output.read_text()

    def connect(self, role: str, service: str = "postgres") -> psycopg.Connection[Any]:
        port = self.get("/_local/status")["services"][service]["port"]
        return psycopg.connect(host="127.0.0.1", port=port, user=role, dbname="parley", passfile=str(self.data / "pgpass"), autocommit=True)

    @property
    def queues_port(self) -> int:
        return int(self.get("/_local/status")["services"]["queues"]["port"])

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def kill(self, signum: int = signal.SIGKILL) -> None:
        self.process.send_signal(signum)
        self.process.wait(HANG_S)


def local(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False, **options)


@contextmanager
def started(data: Path, *arguments: str, port: int | None = None) -> Iterator[Up]:
    port, output = port or free_port(), data.with_suffix(".out")
    command = [sys.executable, "-m", "local", "up", "--port", str(port), "--data", str(data), "--template", str(STACK), *arguments]
    with output.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, text=True)
    up = Up(process, f"http://127.0.0.1:{port}", port, data, output)
    try:
        assert eventually(up.is_ready), output.read_text()
        yield up
    finally:
        if process.poll() is None:
            up.kill(signal.SIGINT)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with started(tmp_path_factory.mktemp("up") / "data") as found:
        yield found


def test_the_roles_have_the_powers_they_need_and_no_more(up: Up) -> None:
    with up.connect("parley_owner") as connection:
        query = "SELECT rolname, rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname LIKE 'parley%' ORDER BY 1"
        roles = connection.execute(query).fetchall()

    assert roles == [
        ("parley_app", False, False, False),
        ("parley_background", False, False, False),
        ("parley_owner", False, True, False),
    ]


def test_the_owner_finds_its_database_with_vectors(up: Up) -> None:
    with up.connect("parley_owner") as connection:
        connection.execute("CREATE TABLE kept (v vector(2))")
        version = connection.execute("SHOW server_version_num").fetchone()
        extension = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()

    assert version
    assert extension
    assert version[0] >= "180000"
    assert extension[0] >= "0.8"


def test_the_server_cannot_lose_what_was_committed(up: Up) -> None:
    with up.connect("parley_app") as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


@pytest.mark.skipif(pgbouncer.pgbouncer_program() is None, reason="PgBouncer is not installed")
def test_functions_are_sent_to_pgbouncer_in_transaction_mode(up: Up) -> None:
    services = up.get("/_local/status")["services"]
    environment = up.invoke({})["environment"]
    assert environment["DATABASE_PORT"] == str(services["pgbouncer"]["port"])
    assert environment["DATABASE_PREPARED_STATEMENTS"] == "no"

    with up.connect("parley_app", "pgbouncer") as one, up.connect("parley_app", "pgbouncer") as other:
        backends = {connection.execute("SELECT pg_backend_pid()").fetchone() for connection in (one, other)}
    assert len(backends) == 1


def test_functions_find_the_services_in_their_environment(up: Up) -> None:
    environment = up.invoke({})["environment"]

    assert environment["PGPASSFILE"] == str(up.data / "pgpass")
    assert environment["AWS_ENDPOINT_URL_LAMBDA"] == f"{up.url}/_local/lambda"
    assert "QueueUrls" in up.use("sqs", "list_queues")


def test_the_database_comes_back_when_it_is_killed(up: Up) -> None:
    status = up.get("/_local/status")["services"]["postgres"]
    os.kill(status["pid"], signal.SIGKILL)

    def is_back() -> bool:
        now = up.get("/_local/status")["services"]["postgres"]
        return bool(now["running"] and now["restarts"] > status["restarts"] and now["port"] == status["port"])

    assert eventually(is_back)
    assert eventually(lambda: _can_query(up))


def _can_query(up: Up) -> bool:
    try:
        with up.connect("parley_app") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def test_a_second_run_on_the_same_data_is_refused(up: Up) -> None:
    again = local("up", "--port", str(free_port()), "--data", str(up.data), "--template", str(STACK))

    assert again.returncode == 1
    assert again.stderr.strip() == f"{up.data} is in use by another `parley up` (pid {up.process.pid})"


def test_data_in_use_is_not_deleted(up: Up) -> None:
    refused = local("reset", "--yes", "--data", str(up.data))

    assert refused.returncode == 1
    assert "is in use by another `parley up`" in refused.stderr


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = local("up", "--port", str(port), "--data", str(tmp_path / "data"), "--template", str(STACK))

    assert refused.returncode == 1
    assert refused.stderr.strip() == f"port {port} is already in use. Choose another port with --port."


def test_an_invalid_template_stops_the_start_with_its_line(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources:\n  Thing:\n    Type: AWS::SQS::Queue\n    Properties: {QueueName: !Ref Nobody}\n")
    refused = local("up", "--port", str(free_port()), "--data", str(tmp_path / "data"), "--template", str(template))

    assert refused.returncode == 2
    assert refused.stderr.startswith("template.yaml:4: Thing: 'Nobody' is neither a parameter nor a resource")


def test_a_failed_migration_stops_the_start_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def handler(event, context):\n    raise ValueError('no such revision')\n")
    function = "Type: AWS::Serverless::Function, Properties: {CodeUri: ., Handler: app.handler, Runtime: python3.13}"
    (tmp_path / "template.yaml").write_text(f"Transform: AWS::Serverless-2016-10-31\nResources:\n  MigrateFunction: {{{function}}}\n")
    refused = local("up", "--port", str(free_port()), "--data", "data", cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path.cwd())})

    assert refused.returncode == 1
    assert "MigrateFunction failed: ValueError: no such revision" in refused.stderr


def test_a_function_is_invoked_from_the_command_line(up: Up, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"a": 1}')

    from_file = local("invoke", "EchoFunction", "-e", str(event), "--port", str(up.port))
    from_input = local("invoke", "EchoFunction", "-e", "-", input='{"b": 2}', env=os.environ | {"PARLEY_PORT": str(up.port)})
    assert json.loads(from_file.stdout)["event"] == {"a": 1}
    assert json.loads(from_input.stdout)["event"] == {"b": 2}


def test_a_streamed_answer_is_printed_as_one_object(up: Up) -> None:
    answer = local("invoke", "StreamFunction", "-e", "-", "--port", str(up.port), input='{"kind": "ok"}')
    fields = json.loads(answer.stdout)

    assert fields["statusCode"] == 201
    assert fields["body"].startswith("first last ")


@pytest.mark.parametrize(
    ("function", "event", "message"),
    [
        ("FaultFunction", '{"kind": "exception"}', '"errorMessage": "the handler raised"'),
        ("NobodyFunction", "{}", "Function not found"),
        ("EchoFunction", "{", "Could not parse request body into json"),
    ],
)
def test_a_failed_invocation_ends_with_1_and_the_reason(up: Up, function: str, event: str, message: str) -> None:
    failed = local("invoke", function, "-e", "-", "--port", str(up.port), input=event)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert message in failed.stderr


def test_without_a_running_stack_the_way_to_one_is_told() -> None:
    failed = local("invoke", "EchoFunction", "-e", "-", "--port", str(free_port()), input="{}")

    assert failed.returncode == 1
    assert "Start it with `parley up`" in failed.stderr


def test_status_is_a_table(up: Up) -> None:
    table = local("status", "--port", str(up.port)).stdout

    assert "EchoFunction" in table
    assert "hourly" in table
    assert "DEAD-LETTER QUEUE" in table
    assert "parley-filesbucket" in table
    assert "running on port" in table


def test_what_is_saved_runs_at_once_unless_it_is_told_not_to(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    shutil.copytree(STACK.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    saved = "def echo(event, context):\n    return 'saved'\n"
    with started(tmp_path / "data", "--template", str(folder / "template.yaml"), "--no-pgbouncer") as up:
        assert up.invoke({"a": 1})["event"] == {"a": 1}
        (folder / "handlers" / "plain.py").write_text(saved)

        assert eventually(lambda: up.invoke({}) == "saved")
    with started(tmp_path / "data", "--template", str(folder / "template.yaml"), "--no-pgbouncer", "--no-watch") as up:
        assert up.invoke({}) == "saved"
        (folder / "handlers" / "plain.py").write_text(saved.replace("saved", "later"))

        assert not eventually(lambda: up.invoke({}) == "later", within_s=1)


@pytest.mark.parametrize(("options", "is_watching"), [({}, True), ({"wants_watch": False}, False), ({"built": Path("b")}, False)])
def test_edits_are_taken_up_from_sources_only(options: dict[str, Any], is_watching: bool) -> None:
    assert EmulatorSettings(**options).is_watching is is_watching


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    with started(tmp_path / "data", "--no-pgbouncer") as up:
        up.invoke({})
        children = up.children()
        up.kill(signal.SIGINT)

    assert len(children) >= 3
    assert up.process.returncode == 0
    assert not [pid for pid in children if is_alive(pid)]


def test_what_was_kept_survives_the_kill_of_everything(tmp_path: Path) -> None:
    with started(tmp_path / "my data") as up:
        with up.connect("parley_owner") as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        services = up.get("/_local/status")["services"]
        os.kill(services["postgres"]["pid"], signal.SIGKILL)
        up.kill()

    with started(tmp_path / "my data") as again, again.connect("parley_owner") as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_messages_objects_and_mails_survive_the_kill_of_everything(tmp_path: Path) -> None:
    with started(tmp_path / "data", "--no-pgbouncer", "--parameter", "MailFrom=me@example.com") as up:
        content = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
        up.use("sesv2", "send_email", FromEmailAddress="me@example.com", Destination={"ToAddresses": ["a@b.org"]}, Content=content)
        up.use("sqs", "send_message", QueueUrl="$QUEUE_URL", MessageBody="{}", DelaySeconds=600)
        up.use("s3", "put_object", Bucket="$BUCKET", Key="k", Body="kept")
        up.kill()

    with started(tmp_path / "data", "--no-pgbouncer") as again:
        status = again.get("/_local/status")
        assert [one["to"] for one in again.get("/_local/mail")["items"]] == [["a@b.org"]]
        assert next(one for one in status["queues"] if one["name"] == "WorkQueue")["delayed"] == 1
        assert status["buckets"] == [{"name": "parley-filesbucket", "objects": 1, "bytes": 4}]


def test_a_first_start_that_was_killed_is_no_hindrance(tmp_path: Path) -> None:
    half_made = tmp_path / "data" / "postgres.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18")

    with started(tmp_path / "data", "--no-pgbouncer") as up:
        assert up.get("/_local/status")["services"]["pgbouncer"] is None
        assert up.invoke({})["environment"]["DATABASE_PREPARED_STATEMENTS"] == "yes"
        assert not half_made.exists()


def test_a_killed_emulator_takes_its_children_along(tmp_path: Path) -> None:
    with started(tmp_path / "data") as up:
        up.invoke({})
        children = up.children()
        up.kill()

    assert children
    assert eventually(lambda: not [pid for pid in children if is_alive(pid)])


def test_reset_deletes_everything(tmp_path: Path) -> None:
    (tmp_path / "data" / "postgres").mkdir(parents=True)

    assert local("reset", "--data", str(tmp_path / "data"), input="n\n").returncode == 1
    assert local("reset", "--data", str(tmp_path / "data"), "--yes").returncode == 0
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "nowhere.toml"), "the file nowhere.toml does not exist"),
        (("--parameter", "novalue"), "--parameter must be NAME=VALUE"),
        (("--template", "nowhere.yaml"), "nowhere.yaml: template: cannot read the file"),
        (("--built", "nowhere"), "there is no build in nowhere: run `make build ARCHITECTURE=native`"),
        (("--built", "--template", "nowhere.yaml"), "--built has its own template"),
    ],
)
def test_a_wrong_option_is_told(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    refused = local("up", "--port", str(free_port()), "--data", str(tmp_path / "data"), *arguments)

    assert refused.returncode != 0
    assert message in refused.stderr


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    environment = os.environ | {"PARLEY_PORT": "", "PARLEY_DATA": "", "PARLEY_MODELS": ""}
    refused = local(
        "up", "--port", str(free_port()), "--template", "nowhere.yaml", cwd=tmp_path, env=environment | {"PYTHONPATH": str(Path.cwd())}
    )

    assert "nowhere.yaml: template: cannot read the file" in refused.stderr
    assert (tmp_path / ".parley").is_dir()


def test_a_setting_that_no_function_can_start_with_is_refused_at_once(tmp_path: Path) -> None:
    command = ["up", "--port", str(free_port()), "--data", str(tmp_path / "data")]
    done = local(*command, env=os.environ | {"PARLEY_BUDGET_USD": "1000000"}, cwd=Path(__file__).parents[2])

    assert done.returncode == 2
    assert "MonthlyBudgetUsd: '1000000' must be a number, at least 0 and at most 100000 (set by PARLEY_BUDGET_USD)" in done.stderr
    assert "Parley is up" not in done.stdout
