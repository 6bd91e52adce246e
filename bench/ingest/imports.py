"""How long an import takes until search finds it by meaning: `python -m bench.ingest.imports`.

A new user imports an export of ChatGPT with many conversations into a running Parley with the built-in embedding model. The processor
time is that of the whole stack, PostgreSQL included.
"""

import argparse
import io
import json
import random
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import httpx2

from bench.harness import machine, processes
from bench.harness.aims import Figure, Section
from bench.harness.servers import Server, ServerFailed
from bench.harness.stack import running_parley
from bench.harness.tables import format_figure, table
from bench.retrieval.stores import ApiUser

_MODELS = Path(__file__).parents[2] / "layers" / "shared" / "parley" / "llm" / "models.toml"
# A year of conversations, and a history that a user waits for.
_AIM_S, _SMALL_AIM_S, _SMALL_CONVERSATIONS = 300.0, 20.0, 30
_LIMIT_S = 1800.0
_POLL_S = 0.5
_START_S = 1_700_000_000
_SUBJECTS = ("ferries", "sourdough", "puffins", "violins", "tax returns", "gardens", "databases", "marathons", "glaciers", "chess", "tiles")
_PLACES = ("Lisbon", "Oslo", "Cairo", "Lima", "Tokyo", "Dublin", "Rome", "Delhi", "Quito", "Accra", "Bergen")
_VERBS = ("repair", "compare", "find", "plan", "explain", "choose", "clean", "paint", "measure", "sell")
# About 60 words an answer, as in a casual conversation.
_SENTENCES = 5


@dataclass(frozen=True)
class _Result:
    """The duration of an import in seconds: until all is stored, and until all is embedded; and the stack's processor time."""

    stored_s: float
    ready_s: float
    cpu_s: float


def run(*, conversations: int, messages: int) -> Section:
    """Import an export and return the table and figures."""
    with TemporaryDirectory(prefix="parley-bench-") as name:
        models = _MODELS.read_text().replace("{", "{{").replace("}", "}}")
        with running_parley(Path(name), models=models, parameters=["MonthlyBudgetUsd=100000"]) as server:
            user = ApiUser(server)
            user.register()
            result = _import(server, user, _export(conversations, messages))
            _check_found(user)
    size = f"{conversations:,} conversations of {messages} messages"
    rows = [
        ["stored and found by words, s", format_figure(result.stored_s)],
        ["ready and found by meaning, s", format_figure(result.ready_s)],
        ["processor time of the stack, s", format_figure(result.cpu_s)],
    ]
    aim_s = _SMALL_AIM_S if conversations <= _SMALL_CONVERSATIONS else _AIM_S
    figures = [Figure(f"import of {size}, until found by meaning", result.ready_s, "s", at_most=aim_s)]
    return Section(f"## Import\n\n{size}, after\n\n{table(['step', 'value'], rows)}", figures)


def _import(server: Server, user: ApiUser, content: bytes) -> _Result:
    cpu_before_ms = processes.cpu_ms(processes.tree(server.pid)) or 0.0
    began_s = time.monotonic()
    announced = user.call("POST", "/conversations/imports", {"filename": "export.zip", "bytes": len(content)})
    httpx2.post(announced["upload_url"], data=announced["fields"], files={"file": content}, timeout=60).raise_for_status()
    stored_s = 0.0
    while (state := user.call("GET", f"/conversations/imports/{announced['id']}"))["status"] in ("queued", "processing"):
        if state["progress"] >= 0.5 and not stored_s:
            stored_s = time.monotonic() - began_s
        if time.monotonic() - began_s > _LIMIT_S:
            raise ServerFailed(f"not imported after {_LIMIT_S:.0f} s: {state}")
        time.sleep(_POLL_S)
    ready_s = time.monotonic() - began_s
    if state["status"] != "ready" or state["left_out"]:
        raise ServerFailed(f"the import ended with {state}")
    cpu_ms = (processes.cpu_ms(processes.tree(server.pid)) or 0.0) - cpu_before_ms
    return _Result(stored_s or ready_s, ready_s, cpu_ms / 1000)


def _check_found(user: ApiUser) -> None:
    found = user.call("GET", f"/conversations/search?{urlencode({'q': 'boats across the Tagus', 'mode': 'semantic'})}")
    if found["mode"] != "semantic" or not found["items"]:
        raise ServerFailed("nothing was found by meaning")


def _export(conversations: int, messages: int) -> bytes:
    """Return a ZIP file as ChatGPT writes it; the same at every run."""
    source, content = random.Random(7), io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([_conversation(source, number, messages) for number in range(conversations)]))
    return content.getvalue()


def _conversation(source: random.Random, number: int, messages: int) -> dict[str, Any]:
    nodes = dict(_nodes(source, number, messages))
    began_s = _START_S + number * 10_000
    return {
        "title": f"{source.choice(_SUBJECTS).title()} {number}",
        "create_time": began_s,
        "update_time": began_s + messages * 30,
        "mapping": nodes,
        "current_node": f"m{messages - 1}",
        "conversation_id": f"conversation-{number}",
        "id": f"conversation-{number}",
    }


def _nodes(source: random.Random, number: int, messages: int) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "root", {"id": "root", "message": None, "parent": None, "children": ["m0"]}
    for place in range(messages):
        role = "assistant" if place % 2 else "user"
        message = {
            "id": f"m{place}",
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": _START_S + number * 10_000 + place * 30,
            "update_time": None,
            "content": {"content_type": "text", "parts": [_text(source, sentences=_SENTENCES if place % 2 else 1)]},
            "status": "finished_successfully",
            "end_turn": True,
            "weight": 1.0,
            "metadata": {"model_slug": "gpt-5", "is_complete": True, "citations": [], "content_references": []},
            "recipient": "all",
        }
        yield (
            f"m{place}",
            {"id": f"m{place}", "message": message, "parent": f"m{place - 1}" if place else "root", "children": [f"m{place + 1}"]},
        )


def _text(source: random.Random, *, sentences: int) -> str:
    return " ".join(
        f"To {source.choice(_VERBS)} the {source.choice(_SUBJECTS)} of {source.choice(_PLACES)}, people from {source.choice(_PLACES)} need"
        f" {source.randint(2, 90)} days."
        for _ in range(sentences)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=20, help="messages of each conversation")
    args = parser.parse_args()
    print(machine.header(), run(conversations=args.conversations, messages=args.messages).text, sep="\n\n")


if __name__ == "__main__":
    main()
