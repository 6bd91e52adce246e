"""Concurrent clients of the auth function in several processes.

Each client stands for a Lambda worker: it has its own handler and database connections.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import Barrier as ThreadBarrier
from threading import BrokenBarrierError
from typing import Any

from tests.support.api_gateway import Answer, Function, Person, read_answer, rest_event
from tests.support.time_limits import HANG_S

PROCESSES = 2
ROUNDS = int(os.environ.get("PARLEY_TEST_ROUNDS", "3"))
# Argon2's minimum, because most tests register users. A deployment cannot set it (tests/contract/test_code_against_template.py).
CHEAP_HASHING = {"PARLEY_ARGON_MEMORY_KIB": "8", "PARLEY_ARGON_PASSES": "1"}
_SPAWN = get_context("spawn")


@dataclass(frozen=True)
class TimedRequest:
    """A request to the auth function, sent `delay_s` after the common start."""

    method: str
    path: str
    body: Any = None
    as_: Person | None = None
    address: str = "192.0.2.7"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0

    def event(self) -> dict[str, Any]:
        """Return the request as an API Gateway event."""
        event = rest_event(self.method, self.path, self.body, as_=self.as_, headers=self.headers)
        event["requestContext"]["identity"]["sourceIp"] = self.address
        return event


@dataclass(frozen=True)
class DeploymentKeys:
    """The signing keys that all processes share, in a form that can be pickled."""

    signing: list[tuple[str, str]]
    refresh_secret: bytes
    issuer: str

    @classmethod
    def of(cls, key_ring: Any) -> "DeploymentKeys":
        return cls([(key.family, key.to_json()) for key in key_ring.keys], key_ring.refresh_secret, key_ring.issuer)

    def key_ring(self) -> Any:
        from parley.auth.signing_keys import KeyRing, SigningKey

        keys = [SigningKey.from_json(text, family=family) for family, text in self.signing]
        return KeyRing.of(keys, refresh_secret=self.refresh_secret, issuer=self.issuer)


class ProcessClients:
    """The clients of one process, created on demand, and the passwords that they have compared with a hash."""

    def __init__(self, keys: DeploymentKeys, barrier: Barrier) -> None:
        from functions.auth.app import services, settings

        clients = self

        class RecordingPasswords(type(services.passwords)):
            def is_right(self, password: str, password_hash: str | None) -> bool:
                clients.compared.append(password)
                return super().is_right(password, password_hash)

        self.compared: list[str] = []
        key_ring = keys.key_ring()
        passwords = RecordingPasswords(
            min_length=settings.password_min_length, memory_kib=settings.argon_memory_kib, passes=settings.argon_passes
        )
        self._services = replace(services, key_ring=lambda: key_ring, passwords=passwords, queue=DiscardingQueue())
        self._barrier = barrier
        self._clients: list[Callable[[TimedRequest], Answer]] = []
        self._engines: list[Any] = []

    def race(self, calls: Sequence[TimedRequest]) -> list[Answer]:
        """Send all calls at the same moment, synchronised with the other processes."""
        while len(self._clients) < len(calls):
            self._clients.append(self._client())
        ready = ThreadBarrier(len(calls), action=self._barrier.wait)

        def run(client: Callable[[TimedRequest], Answer], call: TimedRequest) -> Answer:
            ready.wait()
            time.sleep(call.delay_s)
            return client(call)

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run, self._clients, calls))

    def ask(self, call: TimedRequest) -> Answer:
        """Send one call and return the response."""
        self._clients = self._clients or [self._client()]
        return self._clients[0](call)

    def take_compared(self) -> int:
        """Return how many passwords were compared since the last call."""
        count = len(self.compared)
        self.compared.clear()
        return count

    def do(self, function: Callable[..., Any], *args: Any) -> Any:
        """Close all database connections, then call a function in this process."""
        for engine in self._engines:
            engine.dispose()
        return function(*args)

    def _client(self) -> Callable[[TimedRequest], Answer]:
        from functions.auth.app import settings
        from functions.auth.routes import router
        from parley.db.engine import make_engine
        from parley.http.app import create_app
        from parley.http.lambda_entry import buffered_handler

        services = replace(self._services, engine=make_engine(settings), background=make_engine(settings, role="background"))
        self._engines += [services.engine, services.background]
        handler = buffered_handler(create_app(router, settings=settings, engine=services.engine, services=services))
        loop = asyncio.new_event_loop()

        def send(call: TimedRequest) -> Answer:
            asyncio.set_event_loop(loop)
            return read_answer(handler(call.event(), Function.CONTEXT))

        return send


def meet_after(monkeypatch: Any, module: Any, name: str, *, callers: int = 2) -> None:
    """Make the function `name` return only after `callers` threads have called it, or after a second if a lock blocks the others."""
    function, barrier = getattr(module, name), ThreadBarrier(callers)

    def call_and_meet(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        with suppress(BrokenBarrierError):
            barrier.wait(1)
        return result

    monkeypatch.setattr(module, name, call_and_meet)


def act_inside(monkeypatch: Any, module: Any, action: Callable[[], object], *, entry: int = 1) -> None:
    """Do `action` in the `entry`-th transaction that `module` opens for a principal, after its first statement."""
    scope, entries = module.principal_scope, count(1)

    @contextmanager
    def scope_with_action(*args: Any) -> Iterator[Any]:
        with scope(*args) as connection:
            if next(entries) == entry:
                action()
            yield connection

    monkeypatch.setattr(module, "principal_scope", scope_with_action)


@contextmanager
def impatient(connection: Any) -> Iterator[None]:
    """Wait for a lock for a tenth of a second only, and leave the block then."""
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
    with suppress(OperationalError):
        yield


@contextmanager
def closing_engine(settings: Any, **options: Any) -> Iterator[Any]:
    """Create a separate engine, as each Lambda worker does, and close its connections at the end of the block."""
    from parley.db.engine import make_engine

    engine = make_engine(settings, **options)
    try:
        yield engine
    finally:
        engine.dispose()


def outcomes[T](calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Run all calls at once, each in a thread, and return their results or exceptions."""

    def run(call: Callable[[], T]) -> T | Exception:
        try:
            return call()
        except Exception as exc:
            return exc

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class DiscardingQueue:
    """A queue that drops every message."""

    def send(self, message: object) -> None:
        """Drop the message."""

    def send_later(self, message: object, *, delay_s: float = 0) -> None:
        """Drop the message."""


def _run_process(pipe: Connection, variables: dict[str, str], keys: DeploymentKeys, barrier: Barrier) -> None:
    os.environ |= variables
    clients = ProcessClients(keys, barrier)
    pipe.send("ready")
    while (task := pipe.recv()) is not None:
        name, args = task
        try:
            pipe.send(getattr(clients, name)(*args))
        except Exception as error:
            pipe.send(error)
            raise


class ClientProcesses:
    """Several processes with many clients each, controlled by the test through pipes."""

    def __init__(self, variables: dict[str, str], keys: DeploymentKeys, *, processes: int = PROCESSES) -> None:
        barrier = _SPAWN.Barrier(processes, timeout=HANG_S)
        pairs = [_SPAWN.Pipe() for _ in range(processes)]
        self._pipes = [parent for parent, _ in pairs]
        self._processes = [_SPAWN.Process(target=_run_process, args=(child, variables, keys, barrier), daemon=True) for _, child in pairs]
        for process in self._processes:
            process.start()
        for pipe, (_, child) in zip(self._pipes, pairs, strict=True):
            child.close()
            assert _receive(pipe) == "ready"

    def race(self, calls: Sequence[TimedRequest]) -> list[Answer]:
        """Send all calls at the same moment, spread over the processes, and return the responses in the order of the calls."""
        count = len(self._pipes)
        answers = self._all("race", [(calls[number::count],) for number in range(count)])
        return [answers[number % count][number // count] for number in range(len(calls))]

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send one request to the first process."""
        self._pipes[0].send(("ask", (TimedRequest(method, path, body, **options),)))
        answer: Answer = _receive(self._pipes[0])
        return answer

    def compared(self) -> int:
        """Return how many passwords all processes compared since the last call."""
        return sum(self._all("take_compared", [()] * len(self._pipes)))

    def do(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Call `function(number of the process, *args)` in every process and return the results."""
        return self._all("do", [(function, number, *args) for number in range(len(self._pipes))])

    def get(self, path: str, **options: Any) -> Answer:
        """Send a GET request; same interface as `Function`."""
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a POST request; same interface as `Function`, so that `Person` works here too."""
        return self.ask("POST", path, body, **options)

    def stop(self) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(HANG_S)
            process.close()
        for pipe in self._pipes:
            pipe.close()

    def _all(self, name: str, args_by_process: Sequence[tuple[Any, ...]]) -> list[Any]:
        for pipe, args in zip(self._pipes, args_by_process, strict=True):
            pipe.send((name, args))
        return [_receive(pipe) for pipe in self._pipes]


def _receive(pipe: Connection) -> Any:
    result = pipe.recv()  # raises EOFError if the process has died
    if isinstance(result, Exception):
        raise result
    return result


@contextmanager
def running_client_processes(variables: dict[str, str], keys: DeploymentKeys, *, processes: int = PROCESSES) -> Iterator[ClientProcesses]:
    """Start the processes, and stop them at the end of the block."""
    client_processes = ClientProcesses(variables, keys, processes=processes)
    try:
        yield client_processes
    finally:
        client_processes.stop()
