"""How soon search and memory know what was said: `python -m bench.turns.freshness`.

A user says something in a new conversation and looks for it: by its words, by its meaning, and among the facts. Then the same while
other users take turns, two a second each, and last a history of many turns. The models are those of the shipped catalogue without a key,
except for the answers, which a fake model gives at once.
"""

import argparse
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched, cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from bench.harness import machine
from bench.harness.aims import Figure, Section
from bench.harness.servers import Server, ServerFailed
from bench.harness.stack import ChatClient, Users, running_parley
from bench.harness.tables import format_figure, table
from bench.retrieval.stores import ApiUser
from bench.turns import targets

_MODELS = Path(__file__).parents[2] / "layers" / "shared" / "parley" / "llm" / "models.toml"
_FAKE_MODEL = """
[models.fake]
provider = "openai-compatible"
name = "fake"
base_url = "{upstream}"
"""
_KINDS = {"words": 1.0, "meaning": 5.0, "facts": 30.0}
_LIMIT_S = 90.0
_POLL_S = 0.05
_PAUSE_S = 0.5
_TURNS_EACH = 10
_HISTORY_CLIENTS = 2
_HISTORY_AIM_S = 20.0
# Statements that differ by an invented word only have nearly the same meaning, and a search by meaning then ranks others higher.
_TOPICS = [
    f"My {person} keeps {animals} in {city}"
    for person in ("sister", "neighbour", "teacher", "dentist", "grandfather")
    for animals in ("rabbits", "horses", "bees", "parrots", "goats", "pigeons")
    for city in ("Lisbon", "Oslo", "Cairo", "Lima", "Tokyo", "Dublin", "Rome", "Delhi", "Quito", "Accra")
]


@dataclass(frozen=True)
class _Said:
    """A statement with a word of its own, and the conversation that contains it."""

    word: str
    statement: str
    conversation_id: str


def run(*, statements: int, clients: int, turns: int) -> Section:
    """Measure and return the table and figures. `clients` other users take turns while the second half of the statements is made."""
    with TemporaryDirectory(prefix="parley-bench-") as name, _stack(Path(name)) as server:
        user = ApiUser(server)
        user.register()
        alone = _longest([_time_statement(user) for _ in range(statements)])
        with _other_users(server, clients):
            loaded = _longest([_time_statement(user) for _ in range(statements)])
        history_s = _time_history(server, turns)
    rows = [[f"found by {kind}, s", *(format_figure(part[kind], digits=2) for part in (alone, loaded))] for kind in _KINDS]
    head = ["longest of the times since the answer's end", "alone", f"beside {clients} other users"]
    figures = [
        Figure(f"found by {kind}{where}", part[kind], "s", at_most=aim)
        for kind, aim in _KINDS.items()
        for part, where in ((alone, ""), (loaded, f", beside {clients} users"))
    ]
    figures.append(Figure(f"history of {turns} turns, until all are found by words and meaning", history_s, "s", at_most=_HISTORY_AIM_S))
    text = f"## Freshness\n\n{table(head, rows)}\n\n{turns} turns were taken and found after {format_figure(history_s)} s."
    return Section(text, figures)


@contextmanager
def _stack(folder: Path) -> Iterator[Server]:
    models = _MODELS.read_text().replace("{", "{{").replace("}", "}}").replace('chat = "best"', 'chat = "fake"') + _FAKE_MODEL
    limits = ["AnswersPerUser=100", "MonthlyBudgetUsd=100000"]
    with (
        targets.upstream(folder) as fake,
        running_parley(folder, upstream=f"{fake.server.url}/v1", models=models, parameters=limits) as server,
    ):
        yield server


def _longest(times: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {kind: max(each[kind] for each in times) for kind in _KINDS}


def _time_statement(user: ApiUser) -> dict[str, float]:
    """Say something and return the seconds until it is found, by kind. Raises `ServerFailed` after `_LIMIT_S`."""
    word = _invent_word()
    said = _say(user, word, f"I am allergic to {word}.")
    ended_s = time.monotonic()
    found: dict[str, float] = {}
    while missing := [kind for kind in _KINDS if kind not in found]:
        for kind in missing:
            if _is_found(user, said, kind):
                found[kind] = time.monotonic() - ended_s
        if missing and time.monotonic() - ended_s > _LIMIT_S:
            raise ServerFailed(f"not found by {', '.join(missing)} after {_LIMIT_S:.0f} s")
        time.sleep(_POLL_S)
    return found


def _invent_word() -> str:
    return f"q{secrets.token_hex(5)}"


def _say(user: ApiUser, word: str, statement: str, conversation_id: str | None = None) -> _Said:
    body = {"message": statement, "stream": False, "tools": False} | ({"conversation_id": conversation_id} if conversation_id else {})
    return _Said(word, statement, str(user.call("POST", "/chat", body)["conversation_id"]))


def _is_found(user: ApiUser, said: _Said, kind: str) -> bool:
    if kind == "facts":
        return any(said.word in fact["text"] for fact in user.call("GET", "/memories?limit=100")["items"])
    query = {"q": said.statement, "mode": "semantic"} if kind == "meaning" else {"q": said.word, "mode": "text"}
    found = user.call("GET", f"/conversations/search?{urlencode(query)}")
    if found["mode"] != query["mode"]:
        raise ServerFailed(f"searched in mode {found['mode']} instead of {query['mode']}")
    return any(said.word in hit["snippet"] for hit in found["items"])


@contextmanager
def _other_users(server: Server, count: int) -> Iterator[None]:
    """Let other users take turns, each in one conversation, until the end of the block."""
    is_over = threading.Event()

    def converse(token: str) -> None:
        with ChatClient(server, token) as client:
            body: dict[str, object] = {"message": "Tell me about the ferries of Lisbon.", "tools": False}
            while not is_over.is_set():
                client.ask(body)
                body["conversation_id"] = client.conversation_id
                is_over.wait(_PAUSE_S)

    threads = [threading.Thread(target=converse, args=[token]) for token in Users(server, count).tokens()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def _time_history(server: Server, turns: int) -> float:
    """Take the turns of a history and return the seconds until all are found by words and by meaning."""
    user = ApiUser(server)
    user.register()
    began_s = time.monotonic()
    with ThreadPoolExecutor(_HISTORY_CLIENTS) as pool:
        topics = batched(islice(cycle(_TOPICS), turns), _TURNS_EACH, strict=False)
        said = [said for each in pool.map(lambda some: _converse(user, some), topics) for said in each]
        missing = said
        while missing:
            is_found = pool.map(lambda each: _is_in_search(user, each), missing)
            missing = [each for each, found in zip(missing, is_found, strict=True) if not found]
            if time.monotonic() - began_s > _LIMIT_S:
                raise ServerFailed(f"{len(missing)} of {turns} turns cannot be found after {_LIMIT_S:.0f} s")
            time.sleep(_POLL_S)
    return time.monotonic() - began_s


def _converse(user: ApiUser, topics: Sequence[str]) -> list[_Said]:
    said: list[_Said] = []
    for topic in topics:
        word = _invent_word()
        said.append(_say(user, word, f"{topic}: {word}.", said[-1].conversation_id if said else None))
    return said


def _is_in_search(user: ApiUser, said: _Said) -> bool:
    return _is_found(user, said, "words") and _is_found(user, said, "meaning")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--statements", type=int, default=5, help="statements, both alone and beside other users")
    parser.add_argument("--clients", type=int, default=8, help="other users who take turns meanwhile")
    parser.add_argument("--turns", type=int, default=300, help="turns of the history")
    args = parser.parse_args()
    section = run(statements=args.statements, clients=args.clients, turns=args.turns)
    print(machine.header(), section.text, sep="\n\n")


if __name__ == "__main__":
    main()
