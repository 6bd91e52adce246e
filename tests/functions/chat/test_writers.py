"""Many workers in several processes behind one pooler: fifty writers of one conversation (C3), and more workers than connections (R8)."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.driving import Person
from tests.fakes.parrot import MODELS, Parrot, said
from tests.fakes.pgbouncer import running_pgbouncer
from tests.fakes.vendor import running_vendor
from tests.workers import Staffing, working

WRITERS = 50
CLIENTS, CONNECTIONS = 100, 10
ANSWERED_S = 3.0
IS_THOROUGH = bool(os.environ.get("PARLEY_TEST_CHAOS"))


@pytest.fixture(scope="module")
def parrot():
    with running_vendor() as vendor:
        vendor.script = Parrot(vendor)
        yield vendor.script


@pytest.fixture(scope="module")
def workers(parrot, postgres, environment, database, tmp_path_factory):
    """A hundred workers on ten connections."""
    models = Path(tmp_path_factory.mktemp("models")) / "models.toml"
    models.write_text(MODELS.format(url=parrot.vendor.url))
    with running_pgbouncer(postgres, pool_size=CONNECTIONS) as address:
        variables = environment | address | {"PARLEY_MODELS_FILE": str(models)}
        with working(Staffing(variables, each=CLIENTS // 2)) as started:
            yield started


def messages_of(workers, person, conversation_id):
    return workers.ask("GET", f"/conversations/{conversation_id}/messages?limit=100", as_=person).json["items"]


@pytest.mark.parametrize("wait", [False, True])
def test_fifty_writers_of_one_conversation_lose_nothing_and_leave_no_gap(workers, alice, wait):
    conversation_id = workers.ask("POST", "/conversations", {}, as_=alice).json["id"]
    body = {"conversation_id": conversation_id, "wait": wait, "stream": False}
    questions = [f"answers {number}{wait}" for number in range(WRITERS)]
    sent = [workers.send("POST", "/chat", body | {"message": question}, as_=alice) for question in questions]
    answers = [one.answer() for one in sent]
    accepted = [question for question, answer in zip(questions, answers, strict=True) if answer.status == 200]
    found = messages_of(workers, alice, conversation_id)

    assert {(one.status, one.json["code"]) for one in answers if one.status != 200} <= {(409, "conversation_busy")}
    assert [one["seq"] for one in found] == list(range(1, 2 * len(accepted) + 1))
    assert [one["role"] for one in found] == ["user", "assistant"] * len(accepted)
    assert accepted
    assert Counter(one["text"] for one in found[::2]) == Counter(accepted)
    assert [one["text"] for one in found[1::2]] == ["".join(said(one["text"], 1)) for one in found[::2]]
