"""Many clients of the auth function at the same moment, in several processes.

Each client is a Lambda worker with its own database connections.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import Barrier as ThreadBarrier
from typing import Any

from tests.support.api_gateway import Answer, Function, Person, read_answer, rest_event

PROCESSES = 2
ROUNDS = int(os.environ.get("PARLEY_TEST_ROUNDS", "3"))
# Where hashing is not the point: what Argon2 takes at the least.
CHEAP_HASHING = {"PARLEY_ARGON_MEMORY_KIB": "8", "PARLEY_ARGON_PASSES": "1"}
_SPAWN = get_context("spawn")


@dataclass(frozen=True)
class TimedRequest:
    """One request to the auth function, `delay_s` after the start."""

    method: str
    path: str
    body: Any = None
    as_: Person | None = None
    address: str = "192.0.2.7"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0

    def event(self) -> dict[str, Any]:
        """What API Gateway makes of it."""
        event = rest_event(self.method, self.path, self.body, as_=self.as_, headers=self.headers)
        event["requestContext"]["identity"]["sourceIp"] = self.address
        return event


@dataclass(frozen=True)
class DeploymentKeys:
    """What every process signs with."""

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
    """The clients of one process, made as they are needed, and how many passwords they have hashed to compare."""

    def __init__(self, keys: DeploymentKeys, barrier: Barrier) -> None:
        from functions.auth.app import services, settings

        clients = self

        class Counted(type(services.passwords)):
            def is_right(self, password: str, password_hash: str | None) -> bool:
                clients.compared.append(password)
                return super().is_right(password, password_hash)

        self.compared: list[str] = []
        key_ring = keys.key_ring()
        passwords = Counted(min_length=settings.password_min_length, memory_kib=settings.argon_memory_kib, passes=settings.argon_passes)
        self._services = replace(services, key_ring=lambda: key_ring, passwords=passwords, queue=DiscardingQueue())
        self._barrier = barrier
        self._clients: list[Callable[[TimedRequest], Answer]] = []
        self._engines: list[Any] = []

    def race(self, calls: Sequence[TimedRequest]) -> list[Answer]:
        """Send every call at the same moment, that of the other processes."""
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
        """Send one call."""
        self._clients = self._clients or [self._client()]
        return self._clients[0](call)

    def take_compared(self) -> int:
        """Return how many passwords were compared since the last time."""
        count = len(self.compared)
        self.compared.clear()
        return count

    def do(self, work: Callable[..., Any], *given: Any) -> Any:
        """Do something else in this process, with every connection given back."""
        for engine in self._engines:
            engine.dispose()
        return work(*given)

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


class DiscardingQueue:
    """Takes messages that nobody will work off."""

    def send(self, message: object) -> None:
        """Drop it."""

    def send_later(self, message: object, *, delay_s: float = 0) -> None:
        """Drop it."""


def _run_process(pipe: Connection, variables: dict[str, str], keys: DeploymentKeys, barrier: Barrier) -> None:
    os.environ |= variables
    clients = ProcessClients(keys, barrier)
    pipe.send("ready")
    while (task := pipe.recv()) is not None:
        name, given = task
        try:
            pipe.send(getattr(clients, name)(*given))
        except Exception as error:
            pipe.send(error)
            raise


class ClientProcesses:
    """The processes, and what tests ask of them."""

    def __init__(self, variables: dict[str, str], keys: DeploymentKeys, *, processes: int = PROCESSES) -> None:
        barrier = _SPAWN.Barrier(processes, timeout=20)
        pairs = [_SPAWN.Pipe() for _ in range(processes)]
        self._pipes = [ours for ours, _ in pairs]
        self._processes = [_SPAWN.Process(target=_run_process, args=(theirs, variables, keys, barrier), daemon=True) for _, theirs in pairs]
        for process in self._processes:
            process.start()
        for pipe, (_, theirs) in zip(self._pipes, pairs, strict=True):
            theirs.close()
            assert _receive(pipe) == "ready"

    def race(self, calls: Sequence[TimedRequest]) -> list[Answer]:
        """Send the calls at the same moment, dealt out over the processes; return the answers in the calls' order."""
        count = len(self._pipes)
        dealt = self._all("race", [(calls[number::count],) for number in range(count)])
        return [dealt[number % count][number // count] for number in range(len(calls))]

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send one request."""
        self._pipes[0].send(("ask", (TimedRequest(method, path, body, **options),)))
        answer: Answer = _receive(self._pipes[0])
        return answer

    def compared(self) -> int:
        """Return how many passwords all of them compared since this was asked last."""
        return sum(self._all("take_compared", [()] * len(self._pipes)))

    def do(self, work: Callable[..., Any], *given: Any) -> list[Any]:
        """Call a function in every process, with `given` beside the process's number."""
        return self._all("do", [(work, number, *given) for number in range(len(self._pipes))])

    def get(self, path: str, **options: Any) -> Answer:
        """Send one GET, as `Function` does."""
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Send one POST, as `Function` does, so that `Person` can be made here too."""
        return self.ask("POST", path, body, **options)

    def stop(self) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(10)
            process.close()
        for pipe in self._pipes:
            pipe.close()

    def _all(self, name: str, given: Sequence[tuple[Any, ...]]) -> list[Any]:
        for pipe, one in zip(self._pipes, given, strict=True):
            pipe.send((name, one))
        return [_receive(pipe) for pipe in self._pipes]


def _receive(pipe: Connection) -> Any:
    found = pipe.recv()  # EOFError, if the process has died
    if isinstance(found, Exception):
        raise found
    return found


@contextmanager
def running_client_processes(variables: dict[str, str], keys: DeploymentKeys, *, processes: int = PROCESSES) -> Iterator[ClientProcesses]:
    """Start the processes and end them with the block."""
    client_processes = ClientProcesses(variables, keys, processes=processes)
    try:
        yield client_processes
    finally:
        client_processes.stop()
