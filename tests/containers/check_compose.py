"""`docker compose up`: from the sources to a chat, as a user without root, with data that outlives the containers.

Not part of `make test`, because few machines have Docker: `make containers-test`.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.ports import free_port
from tests.conftest import ROOT
from tests.containers.engine import Engine, NoEngine, running_engine
from tests.containers.stand_ins import POSTGRES_IMAGE, PYTHON_IMAGE, make_images

_READY_S = 300
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Project:
    """The compose project under test."""

    engine: Engine
    url: str

    def compose(self, *arguments: str) -> str:
        return self.engine.compose("--file", str(ROOT / "compose.yaml"), "--project-name", "parley-test", *arguments)

    def up(self) -> None:
        self.compose("up", "--detach", "--build")
        give_up_at = time.monotonic() + _READY_S
        while (health := self.health()) != "healthy":
            assert time.monotonic() < give_up_at, f"{health}\n{self.compose('logs', '--tail=50')}"
            time.sleep(1)

    def health(self) -> str:
        return str(self.inspect("parley")["State"]["Health"]["Status"])

    def inspect(self, service: str) -> Any:
        return json.loads(self.engine.docker("inspect", self.compose("ps", "--quiet", service).strip()))[0]

    def post(self, path: str, body: Any, token: str = "") -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.post(self.url + path, json=body, headers=headers, timeout=60)

    def log_in(self) -> str:
        answer = self.post("/auth/login", {"email": "ada@example.com", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    kept = os.environ.get("PARLEY_CONTAINERS_DIR")
    folder = Path(kept or tempfile.mkdtemp(prefix="parley-containers-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with running_engine(folder) as running:
            images = {}
            if not running.has_image("python:3.13-slim") or not running.has_image("pgvector/pgvector:pg17"):
                make_images(running, folder)
                images = {"PYTHON_IMAGE": PYTHON_IMAGE, "POSTGRES_IMAGE": POSTGRES_IMAGE}
            yield replace(running, environment={**running.environment, **images})
    except NoEngine as error:
        pytest.skip(f"the containers are NOT tested: {error}")
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def project(engine: Engine) -> Iterator[Project]:
    port = free_port()
    addresses = {"PARLEY_PORT": str(port), "PARLEY_AWS_PORT": str(free_port())}
    running = Project(replace(engine, environment={**engine.environment, **addresses}), f"http://127.0.0.1:{port}")
    try:
        running.up()
        running.post("/auth/register", {"email": "ada@example.com", "password": PASSWORD})
        yield running
    finally:
        running.compose("down", "--volumes", "--timeout", "20")


def test_a_question_is_answered(project: Project) -> None:
    answer = project.post("/chat", {"message": "What is 12.5% of 840?", "stream": False}, project.log_in())

    assert answer.status_code == 200, answer.text
    assert "105" in answer.text


def test_the_page_is_served(project: Project) -> None:
    page = httpx2.get(project.url, timeout=60)

    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert "<script" in page.text


def test_a_document_is_uploaded_to_the_address_that_the_stack_names(project: Project) -> None:
    token, content = project.log_in(), b"# Rivers\n\nThe Danube flows through Vienna."
    body = {"filename": "rivers.md", "content_type": "text/markdown", "bytes": len(content)}
    upload = project.post("/documents/uploads", body, token).json()
    sent = httpx2.post(upload["upload_url"], data=upload["fields"], files={"file": content}, timeout=60)

    assert sent.status_code in (200, 201, 204), sent.text
    assert f":{project.engine.environment['PARLEY_AWS_PORT']}/" in upload["upload_url"]


@pytest.mark.parametrize("service", ["parley", "database"])
def test_no_container_runs_as_root_or_may_become_root(project: Project, service: str) -> None:
    configured = project.inspect(service)
    user = project.compose("exec", "-T", service, "id", "-u").strip()

    assert user != "0"
    assert configured["HostConfig"]["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in configured["HostConfig"]["SecurityOpt"]


def test_only_this_machine_reaches_the_ports_and_nothing_reaches_the_database(project: Project) -> None:
    published = project.inspect("parley")["NetworkSettings"]["Ports"]

    assert {binding["HostIp"] for bindings in published.values() for binding in bindings or ()} == {"127.0.0.1"}
    assert not any(project.inspect("database")["NetworkSettings"]["Ports"].values())


def test_accounts_and_conversations_outlive_the_containers(project: Project) -> None:
    token = project.log_in()
    project.post("/chat", {"message": "Remember the lighthouse.", "stream": False}, token)
    began = time.monotonic()
    project.compose("down", "--timeout", "20")
    stopped_s = time.monotonic() - began
    project.up()
    conversations = httpx2.get(f"{project.url}/conversations", headers={"Authorization": f"Bearer {project.log_in()}"}, timeout=60)

    assert conversations.json()["items"]
    assert stopped_s < 20
