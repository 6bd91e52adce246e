"""A request with an `Idempotency-Key` whose work is no transaction: it runs once, and a repeat gets its response."""

import pytest
from pydantic import BaseModel

from parley.deadline import Deadline
from parley.errors import IdempotencyKeyReused, RequestInProgress
from parley.http.idempotency import Idempotency, request_fingerprint


class Reply(BaseModel):
    text: str


class Ask(BaseModel):
    text: str = "hi"


def run(engine, person, work, *, key="k", body=None, left_s=20):
    request = Idempotency(key).request("POST /ask", body or Ask(), render=lambda text: Reply(text=text))
    return request.run_exclusively(engine, person.principal, work, Deadline.after(left_s))


def test_a_repeat_gets_the_response_and_runs_nothing(engine, alice):
    first, again = run(engine, alice, lambda: "one"), run(engine, alice, lambda: "two")

    assert (first.response, first.value) == (Reply(text="one"), "one")
    assert (again.response, again.value) == ({"text": "one"}, None)


@pytest.mark.parametrize("left_s", [20, 0.1])
def test_a_repeat_is_refused_while_the_first_request_runs_even_near_the_end_of_its_time(engine, alice, left_s):
    def work():
        with pytest.raises(RequestInProgress):
            run(engine, alice, lambda: "two")
        return "one"

    assert run(engine, alice, work, left_s=left_s).value == "one"


def test_a_request_that_failed_can_be_repeated(engine, alice):
    with pytest.raises(ZeroDivisionError):
        run(engine, alice, lambda: 1 // 0)

    assert run(engine, alice, lambda: "two").value == "two"


def test_a_key_belongs_to_one_body_and_one_user(engine, alice, bob):
    run(engine, alice, lambda: "one")

    assert run(engine, bob, lambda: "two").value == "two"
    with pytest.raises(IdempotencyKeyReused):
        run(engine, alice, lambda: "three", body=Ask(text="bye"))


def test_without_a_key_every_request_runs(engine, alice):
    assert [run(engine, alice, lambda text=text: text, key=None).value for text in ("one", "two")] == ["one", "two"]


def test_a_request_is_the_same_if_its_body_and_its_parameters_are_whatever_its_secrets():
    def fingerprint(*parameters, text="hi"):
        return request_fingerprint(Ask(text=text), *parameters)

    assert fingerprint("a", None) == fingerprint("a", None)
    assert len({fingerprint(), fingerprint("a"), fingerprint("b"), fingerprint("a", None), fingerprint("a", text="bye")}) == 5
    assert request_fingerprint(Ask(), without={"text"}) == request_fingerprint(Ask(text="bye"), without={"text"})
    assert request_fingerprint(None, "a") != request_fingerprint(None, "b")
