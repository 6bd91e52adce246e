"""Ingest one document in a separate process, with a real PostgreSQL and moto for S3 and SQS, and measure the cost."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer
from sqlalchemy import Engine, text

from bench.harness import processes
from bench.harness.database import running_database
from bench.harness.servers import HOST, ServerFailed, free_port
from parley.db import documents
from parley.db.engine import make_engine
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.ingest_queue import document_key
from parley.settings import DatabaseSettings

BUCKET = "parley-bench-files"
_POLL_S = 0.01
# No embedding model: its time would be the vendor's, not ours.
_MODELS = '[roles]\nchat = "offline"\n\n[models.offline]\nprovider = "offline"\nname = "offline"\n'


@dataclass(frozen=True, slots=True)
class IngestCost:
    """The cost of one document. The function and its child may peak at different times, so `peak_mb` is an upper bound."""

    chunks: int
    wall_s: float
    function_s: float
    reader_s: float
    function_mb: float
    reader_mb: float

    @property
    def cpu_s(self) -> float:
        return self.function_s + self.reader_s

    @property
    def peak_mb(self) -> float:
        return self.function_mb + self.reader_mb


@dataclass(frozen=True, slots=True)
class IngestEnvironment:
    """A database, S3, a queue and the environment variables of the ingest function."""

    engine: Engine
    owner: Engine
    environment: dict[str, str]

    def read(self, content: bytes, filename: str) -> IngestCost:
        """Store a file, ingest it, and return the cost. Raises `ServerFailed` unless the document becomes ready."""
        user_id, document_id = new_id(), new_id()
        with self.owner.begin() as connection:
            values = {"id": user_id, "email": f"{user_id}@example.com"}
            connection.execute(text("INSERT INTO users (id, email) VALUES (:id, :email)"), values)
        with user_scope(self.engine, user_id) as connection:
            names = {"title": filename, "filename": filename, "content_type": "application/octet-stream"}
            documents.add(connection, document_id, user_id=user_id, bytes=len(content), sha256=None, **names)
        boto3.client("s3").put_object(Bucket=BUCKET, Key=document_key(user_id, document_id), Body=content)
        cost, peaks = self._run_worker(str(user_id), str(document_id))
        with user_scope(self.engine, user_id) as connection:
            document = documents.get(connection, document_id, user_id=user_id)
        if cost.pop("failed") or document.status != "ready":
            raise ServerFailed(f"{filename}: {document.status}, {document.error_code}")
        return IngestCost(chunks=document.chunks, function_mb=peaks[0], reader_mb=peaks[1], **cost)

    def _run_worker(self, *ids: str) -> tuple[dict[str, float], tuple[float, float]]:
        """Run the worker and return its figures and the peak memory, in MB, of the worker and of its child."""
        command = [sys.executable, "-m", "bench.ingest.worker", *ids]
        worker = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        peaks: dict[int, float] = {}
        while worker.poll() is None:
            for pid in (worker.pid, *_children(worker.pid)):
                peaks[pid] = max(peaks.get(pid, 0.0), processes.peak_mb(pid) or 0.0)
            time.sleep(_POLL_S)
        lines = worker.stdout.read().splitlines() if worker.stdout else []
        if worker.returncode:
            raise ServerFailed(f"bench.ingest.worker exited with status {worker.returncode}")
        worker_peak = peaks.pop(worker.pid)
        return json.loads(lines[-1]), (worker_peak, max(peaks.values(), default=0.0))


def _children(pid: int) -> list[int]:
    """Return the ids of the child processes. Does not scan all processes, because it is called in a tight loop."""
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        return []


@contextmanager
def running_ingest_environment(folder: Path) -> Iterator[IngestEnvironment]:
    """Run the database, S3 and the queue until the end of the block."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=HOST, port=free_port(), verbose=False)
    server.start()
    try:
        os.environ |= {"AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()), "AWS_DEFAULT_REGION": "eu-west-1"}
        os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        with running_database() as settings:
            app, owner = make_engine(settings), make_engine(settings, role="owner")
            yield IngestEnvironment(app, owner, os.environ | _variables(settings, folder))
            app.dispose()
            owner.dispose()
    finally:
        server.stop()


def _variables(settings: DatabaseSettings, folder: Path) -> dict[str, str]:
    """Return the environment variables that the template sets for the function."""
    catalogue = folder / "models.toml"
    catalogue.write_text(_MODELS)
    return {
        **{f"PARLEY_{name.upper()}": str(value) for name, value in settings.model_dump().items()},
        "PARLEY_MODELS_FILE": str(catalogue),
        "PARLEY_MODELS_PARAMETER": "",
        "PARLEY_FILES_BUCKET": BUCKET,
        "PARLEY_DOCUMENT_BYTES": "60000000",
        "PARLEY_INGEST_QUEUE_URL": boto3.client("sqs").create_queue(QueueName="ingest")["QueueUrl"],
        "PARLEY_RATE_PER_MINUTE": "1000",
        "PARLEY_BUDGET_USD": "5",
        "POWERTOOLS_SERVICE_NAME": "ingest",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }
