"""Workers of the chat and conversation functions in separate processes, fed with API Gateway events.

As on Lambda, a worker handles one request at a time and has one database connection. Workers of the same process run in
threads and share no state except the model clients.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
from tests.support.time_limits import HANG_S

_SPAWN = get_context("spawn")


@dataclass(frozen=True)
class WorkerOptions:
    """The number of workers, their environment, and their differences from deployed workers.

    `tick_s` is the heartbeat interval of a turn, and `time_limit_s` the time limit of an invocation. With
    `has_circuits=False`, a provider that fails often is still called.
    """

    variables: dict[str, str]
    processes: int = 2
    workers_per_process: int = 4
    tick_s: float | None = None
    time_limit_s: float = 29.0
    has_circuits: bool = True


class PendingAnswer:
    """A request whose response is still arriving."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._error: BaseException | None = None
        self._has_ended = False
        self._changed = threading.Condition()
        self._started_s = time.monotonic()
        self.elapsed_s = 0.0

    def answer(self) -> Answer:
        """Wait for the complete response. Raises the worker's exception if the handler failed."""
        self._wait(lambda: self._has_ended)
        if self._error:
            raise self._error
        return read_stream(iter(self._chunks))

    def so_far(self, text: str) -> Answer:
        """Wait until the stream contains `text` or has ended, and return the part received so far."""
        self._wait(lambda: self._has_ended or text.encode() in b"".join(self._chunks))
        return read_stream(iter(list(self._chunks)))

    def take(self, message: bytes | BaseException | None) -> None:
        """Store a message of the worker: a chunk, or at the end of the response None or the worker's exception."""
        with self._changed:
            if isinstance(message, bytes):
                self._chunks.append(message)
            else:
                self._error, self._has_ended = message, True
                self.elapsed_s = time.monotonic() - self._started_s
            self._changed.notify_all()

    def _wait(self, predicate: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(predicate, HANG_S), b"".join(self._chunks)


class LambdaWorkers:
    """Several processes with several workers each, and the test's pending requests."""

    def __init__(self, worker_options: WorkerOptions) -> None:
        self._numbers, self._pending = count(), dict[int, PendingAnswer]()
        pairs = [_SPAWN.Pipe() for _ in range(worker_options.processes)]
        self._pipes = [parent for parent, _ in pairs]
        self._processes = [_SPAWN.Process(target=_run_process, args=(child, worker_options), daemon=True) for _, child in pairs]
        for process, (_, child) in zip(self._processes, pairs, strict=True):
            process.start()
            child.close()
        self._locks = [threading.Lock() for _ in pairs]
        for pipe in self._pipes:
            assert pipe.recv() == "ready"
        self._readers = [threading.Thread(target=self._read, args=(pipe,)) for pipe in self._pipes]
        for reader in self._readers:
            reader.start()

    def send(
        self, method: str, path: str, body: Any = None, *, as_: Person, key: str | None = None, process: int | None = None
    ) -> PendingAnswer:
        """Send a request to a free worker of one process; without `process`, the processes take turns."""
        event = rest_event(method, path, body, as_=as_, headers={"Idempotency-Key": key} if key else {})
        number, pending = next(self._numbers), PendingAnswer()
        self._pending[number] = pending
        index = (number if process is None else process) % len(self._pipes)
        with self._locks[index]:
            self._pipes[index].send((number, event))
        return pending

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request and wait for the complete response."""
        return self.send(method, path, body, **options).answer()

    def stop(self) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(HANG_S)
            process.close()
        for reader in self._readers:
            reader.join()

    def _read(self, pipe: Connection) -> None:
        while True:
            try:
                number, message = pipe.recv()
            except EOFError:
                return pipe.close()
            self._pending[number].take(message)
            if not isinstance(message, bytes):
                del self._pending[number]


class LambdaWorker:
    """One worker: both functions, one database connection and an event loop. The model clients belong to the process."""

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
        embedding = chat.MeteredEmbedder(self.engine, chat.catalogue, os.environ, chat.providers.embedder, chat.default_limits)
        services = replace(
            chat.services,
            engine=self.engine,
            router=router,
            queue=DiscardingQueue(),
            toolbox_for=chat.make_toolbox_for(self.engine, chat.invoker, chat.mcp_registry, embedding, []),
        )
        self._chat = _copy_app(chat.app, engine=self.engine, services=services)
        conversation_services = replace(conversation.services, engine=self.engine)
        self._conversation = buffered_handler(_copy_app(conversation.app, engine=self.engine, services=conversation_services))
        self._loop, self._time_limit_s = asyncio.new_event_loop(), worker_options.time_limit_s

    def chunks(self, event: dict[str, Any]) -> Iterator[bytes]:
        """Call the function that owns the route, and yield its response in the streaming format."""
        from parley.http.streaming import _stream

        asyncio.set_event_loop(self._loop)
        if event["path"].startswith("/conversations") or event["path"].endswith("/stop"):
            yield _as_stream(self._conversation(event, self._context()))
        else:
            yield from _stream(self._chat, event, self._context(), self._loop)

    def _context(self) -> Any:
        ends_s = time.monotonic() + self._time_limit_s
        left_ms = lambda: int((ends_s - time.monotonic()) * 1000)  # noqa: E731
        arn = "arn:aws:lambda:eu-west-1:1:function:test"
        fields = {"function_name": "test", "memory_limit_in_mb": 512, "invoked_function_arn": arn, "aws_request_id": "test"}
        return SimpleNamespace(**fields, get_remaining_time_in_millis=left_ms)


class ClosedCircuits:
    """Circuits that never open."""

    def read(self) -> tuple[dict[str, Any], Any]:
        from parley.clock import utc_now

        return {}, utc_now()

    def change(self, provider: str, step: Any) -> None:
        """Change nothing."""


def _copy_app(middleware: Any, **state: Any) -> Any:
    """Return a copy of an app with changed state. Building a second app would take longer than all its requests."""
    middleware_copy, app = copy(middleware), copy(middleware._app)
    app.state = State(middleware._app.state._state | state)
    app.middleware_stack = None
    middleware_copy._app = app
    return middleware_copy


def _as_stream(result: dict[str, Any]) -> bytes:
    headers = {name.lower(): value for name, value in result["headers"].items()}
    return json.dumps({"statusCode": result["statusCode"], "headers": headers}).encode() + b"\0" * 8 + result["body"].encode()


def _shorten_pauses(tick_s: float) -> None:
    """Set all heartbeat and poll intervals of the chat function to `tick_s`."""
    for name in [name for name in sys.modules if name.startswith("functions.chat.")]:
        for constant in {"TICK_S", "POLL_S", "REPLAY_POLL_S"} & vars(sys.modules[name]).keys():
            setattr(sys.modules[name], constant, tick_s)


def _run_process(pipe: Connection, worker_options: WorkerOptions) -> None:
    os.environ |= worker_options.variables
    if worker_options.tick_s is not None:
        from functions.chat.turn import heartbeat, replay, tool_loop

        heartbeat.TICK_S = tool_loop.POLL_S = replay.REPLAY_POLL_S = worker_options.tick_s
    from parley.llm.provider_registry import ProviderRegistry

    providers = ProviderRegistry(os.environ)
    workers = [LambdaWorker(worker_options, providers) for _ in range(worker_options.workers_per_process)]
    lock = threading.Lock()
    free = SimpleQueue[LambdaWorker]()
    for worker in workers:
        free.put(worker)
    if worker_options.tick_s is not None:
        _shorten_pauses(worker_options.tick_s)

    def report(number: int, message: bytes | BaseException | None) -> None:
        with lock:
            pipe.send((number, message))

    def answer(number: int, event: dict[str, Any]) -> None:
        worker, error = free.get(), None
        try:
            for chunk in worker.chunks(event):
                report(number, chunk)
        except Exception as raised:
            error = RuntimeError(repr(raised))  # a library's exception may not survive pickling
        free.put(worker)
        report(number, error)

    pipe.send("ready")
    with ThreadPoolExecutor(worker_options.workers_per_process) as pool:
        while (task := pipe.recv()) is not None:
            pool.submit(answer, *task)
    for worker in workers:
        worker.engine.dispose()
    providers.close()


@contextmanager
def running_lambda_workers(worker_options: WorkerOptions) -> Iterator[LambdaWorkers]:
    """Start the workers, and stop them at the end of the block."""
    workers = LambdaWorkers(worker_options)
    try:
        yield workers
    finally:
        workers.stop()
