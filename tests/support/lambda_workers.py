"""Workers of the chat and conversation functions in their own processes: API Gateway's events in, chunks of the answer out.

A worker takes one request at a time and has one database connection, as on Lambda. The workers of a process share
only its processor.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from starlette.datastructures import State

from tests.support.api_gateway import Answer, Person, read_stream, rest_event
from tests.support.concurrency import DiscardingQueue

_SPAWN = get_context("spawn")


@dataclass(frozen=True)
class WorkerOptions:
    """How many workers in how many processes, with which variables, and how they differ from deployed ones.

    `tick_s` is the pause between two ticks of a turn, `lasting_s` the time that an invocation has. Without circuits a
    provider that fails often is still asked.
    """

    variables: dict[str, str]
    processes: int = 2
    workers_per_process: int = 4
    tick_s: float | None = None
    time_limit_s: float = 29.0
    has_circuits: bool = True


class PendingAnswer:
    """A request that is being answered."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._error: BaseException | None = None
        self._has_ended = False
        self._changed = threading.Condition()
        self._began_s = time.monotonic()
        self.elapsed_s = 0.0

    def answer(self, *, timeout_s: float = 90) -> Answer:
        """Wait for the whole answer."""
        self._wait(lambda: self._has_ended, timeout_s)
        if self._error:
            raise self._error
        return read_stream(iter(self._chunks))

    def so_far(self, words: str, *, timeout_s: float = 30) -> Answer:
        """Wait until the stream has these words, or has ended, and return what there is of it."""
        self._wait(lambda: self._has_ended or words.encode() in b"".join(self._chunks), timeout_s)
        return read_stream(iter(list(self._chunks)))

    def take(self, found: bytes | BaseException | None) -> None:
        """Note a chunk, or the end."""
        with self._changed:
            if isinstance(found, bytes):
                self._chunks.append(found)
            else:
                self._error, self._has_ended = found, True
                self.elapsed_s = time.monotonic() - self._began_s
            self._changed.notify_all()

    def _wait(self, is_so: Any, timeout_s: float) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, timeout_s), b"".join(self._chunks)


class LambdaWorkers:
    """The processes, and the requests that tests send to them."""

    def __init__(self, worker_options: WorkerOptions) -> None:
        self._numbers, self._sent = count(), dict[int, PendingAnswer]()
        pairs = [_SPAWN.Pipe() for _ in range(worker_options.processes)]
        self._pipes = [ours for ours, _ in pairs]
        self._processes = [_SPAWN.Process(target=_run_process, args=(theirs, worker_options), daemon=True) for _, theirs in pairs]
        for process, (_, theirs) in zip(self._processes, pairs, strict=True):
            process.start()
            theirs.close()
        self._locks = [threading.Lock() for _ in pairs]
        for pipe in self._pipes:
            assert pipe.recv() == "ready"
        self._readers = [threading.Thread(target=self._read, args=(pipe,)) for pipe in self._pipes]
        for reader in self._readers:
            reader.start()

    def send(
        self, method: str, path: str, body: Any = None, *, as_: Person, key: str | None = None, process: int | None = None
    ) -> PendingAnswer:
        """Send a request to a worker of this process, or of each process in turn."""
        event = rest_event(method, path, body, as_=as_, headers={"Idempotency-Key": key} if key else {})
        number, sent = next(self._numbers), PendingAnswer()
        self._sent[number] = sent
        which = (number if process is None else process) % len(self._pipes)
        with self._locks[which]:
            self._pipes[which].send((number, event))
        return sent

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request and wait for its whole answer."""
        return self.send(method, path, body, **options).answer()

    def stop(self) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(20)
            process.close()
        for reader in self._readers:
            reader.join()

    def _read(self, pipe: Connection) -> None:
        while True:
            try:
                number, found = pipe.recv()
            except EOFError:
                return pipe.close()
            self._sent[number].take(found)
            if not isinstance(found, bytes):
                del self._sent[number]


class LambdaWorker:
    """One worker: both functions, a connection to the database and a loop. The clients of models are its process's."""

    def __init__(self, worker_options: WorkerOptions, providers: Any) -> None:
        from functions.chat import app as chat
        from functions.conversation import app as conversation
        from parley.db.circuits import DatabaseCircuits
        from parley.db.engine import make_engine
        from parley.http.lambda_entry import buffered_handler
        from parley.llm.circuit_breaker import CircuitBreaker
        from parley.llm.router import ModelRouter, RetryPolicy

        self.engine = make_engine(chat.settings)
        breaker = CircuitBreaker(DatabaseCircuits(self.engine) if worker_options.has_circuits else ClosedCircuits())
        router = ModelRouter(providers, breaker, retry_policy=RetryPolicy(first_pause_s=0.01))
        self._chat = _copy_app(chat.app, services=replace(chat.services, engine=self.engine, router=router, queue=DiscardingQueue()))
        self._conversation = buffered_handler(_copy_app(conversation.app, engine=self.engine))
        self._loop, self._lasting_s = asyncio.new_event_loop(), worker_options.time_limit_s

    def chunks(self, event: dict[str, Any]) -> Iterator[bytes]:
        """Answer as the function does whose route it is, in the form of an answer that streams."""
        from parley.http.streaming import _stream

        asyncio.set_event_loop(self._loop)
        if event["path"].startswith("/conversations"):
            yield _as_stream(self._conversation(event, self._context()))
        else:
            yield from _stream(self._chat, event, self._context(), self._loop)

    def _context(self) -> Any:
        ends_s = time.monotonic() + self._lasting_s
        left_ms = lambda: int((ends_s - time.monotonic()) * 1000)  # noqa: E731
        arn = "arn:aws:lambda:eu-west-1:1:function:test"
        named = {"function_name": "test", "memory_limit_in_mb": 512, "invoked_function_arn": arn, "aws_request_id": "test"}
        return SimpleNamespace(**named, get_remaining_time_in_millis=left_ms)


class ClosedCircuits:
    """Circuits that never open."""

    def read(self) -> tuple[dict[str, Any], Any]:
        from parley.clock import utc_now

        return {}, utc_now()

    def change(self, provider: str, step: Any) -> None:
        """Leave it as it is."""


def _copy_app(door: Any, **state: Any) -> Any:
    """Copy an app with another state: to build it anew would take longer than all its requests."""
    made, app = copy(door), copy(door._app)
    app.state = State(door._app.state._state | state)
    app.middleware_stack = None
    made._app = app
    return made


def _as_stream(result: dict[str, Any]) -> bytes:
    headers = {name.lower(): value for name, value in result["headers"].items()}
    return json.dumps({"statusCode": result["statusCode"], "headers": headers}).encode() + b"\0" * 8 + result["body"].encode()


def _shorten_pauses(tick_s: float) -> None:
    """Shorten what a turn and its readers wait for."""
    for name in [name for name in sys.modules if name.startswith("functions.chat.")]:
        for pause in {"TICK_S", "POLL_S", "REPLAY_POLL_S"} & vars(sys.modules[name]).keys():
            setattr(sys.modules[name], pause, tick_s)


def _run_process(pipe: Connection, worker_options: WorkerOptions) -> None:
    os.environ |= worker_options.variables
    if worker_options.tick_s is not None:
        from functions.chat.turn import heartbeat, replay, tool_loop

        heartbeat.TICK_S = tool_loop.POLL_S = replay.REPLAY_POLL_S = worker_options.tick_s
    from parley.llm.provider_registry import ProviderRegistry

    providers = ProviderRegistry(os.environ)
    workers, lock, free = (
        [LambdaWorker(worker_options, providers) for _ in range(worker_options.workers_per_process)],
        threading.Lock(),
        SimpleQueue[LambdaWorker](),
    )
    for worker in workers:
        free.put(worker)
    if worker_options.tick_s is not None:
        _shorten_pauses(worker_options.tick_s)

    def tell(number: int, found: bytes | BaseException | None) -> None:
        with lock:
            pipe.send((number, found))

    def answer(number: int, event: dict[str, Any]) -> None:
        worker, error = free.get(), None
        try:
            for chunk in worker.chunks(event):
                tell(number, chunk)
        except Exception as raised:
            error = RuntimeError(repr(raised))  # an exception of a library may not survive the pipe
        free.put(worker)
        tell(number, error)

    pipe.send("ready")
    with ThreadPoolExecutor(worker_options.workers_per_process) as pool:
        while (task := pipe.recv()) is not None:
            pool.submit(answer, *task)
    for worker in workers:
        worker.engine.dispose()
    providers.close()


@contextmanager
def running_lambda_workers(worker_options: WorkerOptions) -> Iterator[LambdaWorkers]:
    """Start the workers and end them with the block."""
    workers = LambdaWorkers(worker_options)
    try:
        yield workers
    finally:
        workers.stop()
