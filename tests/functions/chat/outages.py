"""Clients that repeat each question until it is answered, while the database is shut down again and again."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import psycopg

from tests.support.api_gateway import Answer, Person
from tests.support.lambda_workers import LambdaWorkers
from tests.support.postgres import RunningPostgres

VERBS = {"answers": 20, "dawdles": 14, "hangs up": 1, "refuses": 1, "errs": 1}
PAUSE_S = 0.2
# At most this many times the turns are asked until an outage was felt.
MAX_FACTOR = 20
GIVE_UP_AFTER_S = 90.0
LAST_EVENTS = {"turn.completed", "turn.stopped", "turn.interrupted", "turn.failed"}
# A repeated request for a stream joins the running turn. If the database is shut down meanwhile, its stream has no last event.
CUT_OFF = "cut_off"
OPEN_TRANSACTIONS = """
SELECT count(*) FROM pg_stat_activity
 WHERE usename = 'parley_app' AND state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > interval '2 seconds'
"""


@dataclass
class Attempt:
    """A request's times and its response."""

    began_s: float
    ended_s: float
    answer: Answer

    @property
    def code(self) -> str:
        """The error code of the response or of its stream, empty if it succeeded, and `cut_off` for a stream without its last event."""
        if self.answer.headers["content-type"].startswith("text/event-stream"):
            name, data = self.answer.events[-1] if self.answer.events else ("", {})
            return data.get("code", "") if name in LAST_EVENTS else CUT_OFF
        return "" if self.answer.status == 200 else self.answer.json["code"]

    @property
    def is_unavailable(self) -> bool:
        """Whether the response says that the database is unavailable."""
        return self.code == "unavailable"

    @property
    def is_final(self) -> bool:
        """Whether the response shows the end of the turn."""
        return self.code not in ("unavailable", "in_progress", "conversation_busy", CUT_OFF)

    @property
    def text(self) -> str:
        return self.answer.text or (self.answer.json["message"]["text"] if self.answer.status == 200 and not self.answer.events else "")


@dataclass
class RepeatedQuestion:
    """A question with all attempts to get an answer."""

    person: Person
    question: str
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]


@dataclass
class Outages:
    """The clients, the database, and a record of the run. `pause_s` draws the time between two outages."""

    workers: LambdaWorkers
    postgres: RunningPostgres
    people: list[Person]
    turns: int
    pause_s: Callable[[Random], float]
    min_outages: int = 1
    questions: list[RepeatedQuestion] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    open_while_streaming: int = 0
    _numbers: Any = field(default_factory=count)
    _is_over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Run the clients until all questions are answered and the database has been down often enough, for a client to notice."""
        others = [threading.Thread(target=work) for work in (self._cause_outages, self._watch_transactions)]
        clients = [threading.Thread(target=self._run_client, args=(person, Random(n))) for n, person in enumerate(self.people)]
        for thread in (*others, *clients):
            thread.start()
        for thread in clients:
            thread.join()
        self._is_over.set()
        for thread in others:
            thread.join()

    def recoveries_s(self) -> list[float]:
        """Return, for each outage, how long after its end a new request was still refused."""
        return [max((attempt.began_s - up_s for attempt in self._refused_after(up_s)), default=0.0) for _, up_s in self.spans]

    def attempts(self) -> list[Attempt]:
        """Return all attempts of all clients."""
        return [attempt for repeated in self.questions for attempt in repeated.attempts]

    def _refused_after(self, up_s: float) -> list[Attempt]:
        next_s = min((down_s for down_s, _ in self.spans if down_s > up_s), default=float("inf"))
        return [attempt for attempt in self.attempts() if attempt.is_unavailable and up_s <= attempt.began_s and attempt.ended_s < next_s]

    def _run_client(self, person: Person, draw: Random) -> None:
        conversation_id = None
        while (number := next(self._numbers)) < self.turns or (number < self.turns * MAX_FACTOR and not self._was_felt()):
            repeated = RepeatedQuestion(person, f"{draw.choices(list(VERBS), list(VERBS.values()))[0]} {number}")
            self.questions.append(repeated)
            body = {"message": repeated.question, "stream": draw.random() < 0.7}
            body |= {"conversation_id": conversation_id} if conversation_id and draw.random() < 0.8 else {}
            self._repeat_until_final(repeated, body)
            conversation_id = _conversation_of(repeated.last.answer) or conversation_id

    def _was_felt(self) -> bool:
        """Return whether there were enough outages, and a client found the database away. A fast restart may spare them all."""
        return len(self.spans) >= self.min_outages and any(attempt.is_unavailable for attempt in self.attempts())

    def _repeat_until_final(self, repeated: RepeatedQuestion, body: dict[str, Any]) -> None:
        ends_s = time.monotonic() + GIVE_UP_AFTER_S
        while time.monotonic() < ends_s:
            began_s = time.monotonic()
            answer = self.workers.send("POST", "/chat", body, as_=repeated.person, key=repeated.question).answer()
            repeated.attempts.append(Attempt(began_s, time.monotonic(), answer))
            if repeated.last.is_final:
                return
            time.sleep(PAUSE_S)
            self._age_turn(repeated)

    def _age_turn(self, repeated: RepeatedQuestion) -> None:
        """Make a running turn stale. Its function is gone, because the function responded, so the test need not wait half a minute."""
        age = f"UPDATE turns SET heartbeat_at = now() - interval '31 seconds' WHERE idempotency_key = '{repeated.question}'"
        self._run_if_up(lambda: self.postgres.execute(f"{age} AND status = 'running'"))

    def _cause_outages(self) -> None:
        draw = Random(11)
        while not self._is_over.wait(self.pause_s(draw)):
            self.postgres.crash()
            down_s = time.monotonic()
            self.postgres.wait_until_down()
            self.postgres.wait_until_up()
            self.spans.append((down_s, time.monotonic()))

    def _watch_transactions(self) -> None:
        while not self._is_over.wait(0.1):
            self._run_if_up(self._count_open)

    def _count_open(self) -> None:
        self.open_while_streaming += self.postgres.execute(OPEN_TRANSACTIONS)[0][0]

    def _run_if_up(self, work: Callable[[], Any]) -> None:
        with suppress(psycopg.OperationalError):  # the database is down
            work()


def _conversation_of(answer: Answer) -> str | None:
    if answer.events:
        return answer.events[0][1].get("conversation_id")
    return answer.json.get("conversation_id")
