from dataclasses import replace
from functools import partial

import pytest

from functions.tools.schemas import InvokeIn
from parley.deadline import Deadline
from parley.errors import RequestInProgress
from parley.http.idempotency import Idempotency
from tests.fakes.tool_servers import FakeToolRunner, make_spec
from tests.support.api_gateway import Person
from tests.support.concurrency import outcomes


def invoke(function, alice, name="shout", arguments=None, key=None):
    headers = {"Idempotency-Key": key} if key else None
    return function.post(f"/tools/{name}/invoke", {"arguments": arguments or {"text": "hello"}}, as_=alice, headers=headers)


def put(function, alice, changes, name="shout"):
    return function.call("PUT", f"/tools/{name}", changes, as_=alice)


def listed(function, alice):
    return {tool["name"]: tool for tool in function.get("/tools?limit=100", as_=alice).json["items"]}


def test_the_list_describes_a_tool_in_full(served, alice):
    assert listed(served, alice)["shout"] == {
        "name": "shout",
        "description": "Does shout.",
        "parameters": make_spec().parameters,
        "source": "builtin",
        "enabled": True,
        "requires_approval": False,
    }


def test_the_list_is_paged_by_name(serve, alice):
    function = serve(FakeToolRunner(make_spec("c"), make_spec("a"), make_spec("b")))
    first = function.get("/tools?limit=2", as_=alice).json
    second = function.get(f"/tools?limit=2&cursor={first['next_cursor']}", as_=alice).json

    assert [[tool["name"] for tool in page["items"]] for page in (first, second)] == [["a", "b"], ["c"]]
    assert second["next_cursor"] is None


def test_a_tool_can_be_called(served, alice):
    answer = invoke(served, alice)

    assert (answer.status, answer.json["ok"], answer.json["content"]) == (200, True, "HELLO")
    assert answer.json["elapsed_ms"] >= 0


def test_invalid_arguments_name_the_location(serve, alice):
    runner = FakeToolRunner()
    answer = invoke(serve(runner), alice, arguments={"text": 7})

    assert (answer.status, answer.json["code"]) == (422, "invalid_input")
    assert answer.json["errors"] == [{"loc": ["body", "arguments", "text"], "msg": "7 is not of type 'string'"}]
    assert runner.requests == []


def test_a_user_in_the_arguments_is_refused_and_the_callers_own_is_bound(serve, alice, bob):
    runner = FakeToolRunner()
    refused = invoke(serve(runner), alice, arguments={"text": "x", "user_id": str(bob.id)})
    invoke(serve(runner), alice)

    assert (refused.status, [request[2] for request in runner.requests]) == (422, [alice.id])


@pytest.mark.parametrize("name", ["nothing", "shout.loudly", "%00", "..%2Fadmin"])
def test_an_unknown_tool_is_not_found(served, alice, name):
    assert invoke(served, alice, name).status == put(served, alice, {"enabled": True}, name).status == 404


def test_a_disabled_tool_is_listed_but_not_run(served, alice):
    put(served, alice, {"enabled": False})

    assert (invoke(served, alice).status, invoke(served, alice).json["code"]) == (409, "tool_disabled")
    assert listed(served, alice)["shout"]["enabled"] is False


def test_null_restores_the_tools_default(served, alice):
    put(served, alice, {"enabled": False, "requires_approval": True})
    answer = put(served, alice, {"enabled": None})

    assert (answer.json["enabled"], answer.json["requires_approval"]) == (True, True)


def test_an_empty_change_changes_nothing(served, alice):
    put(served, alice, {"enabled": False})

    assert put(served, alice, {}).json["enabled"] is False


def test_an_approval_that_the_tool_requires_cannot_be_lifted(serve, alice):
    function = serve(FakeToolRunner(make_spec(requires_approval=True)))

    assert put(function, alice, {"requires_approval": False}).json["requires_approval"] is True


def test_a_direct_call_needs_no_approval(serve, alice):
    assert invoke(serve(FakeToolRunner(make_spec(requires_approval=True))), alice).json["ok"]


def test_settings_apply_to_one_user(served, alice, bob):
    put(served, alice, {"enabled": False})

    assert (invoke(served, bob).status, listed(served, bob)["shout"]["enabled"]) == (200, True)


def test_a_tool_cannot_exceed_the_tokens_scopes(serve, alice):
    function = serve(FakeToolRunner(make_spec(scopes=("documents",))))
    narrow = Person(alice.email, alice.tokens, alice.claims | {"scope": "tools"})

    assert (invoke(function, narrow).status, invoke(function, alice).status) == (404, 200)


def test_calls_are_counted(serve, alice):
    function = serve(rate_per_minute=2)
    statuses = [invoke(function, alice).status for _ in range(3)]
    refused = invoke(function, alice)

    assert statuses == [200, 200, 429]
    assert int(refused.headers["retry-after"]) >= 1


def test_a_call_is_counted_before_its_arguments_are_checked(serve, alice):
    function = serve(rate_per_minute=1)

    assert [invoke(function, alice, arguments={"text": 7}).status for _ in range(2)] == [422, 429]


def test_no_connection_is_used_while_a_tool_runs(serve, engine, alice):
    taken = []

    class Looking(FakeToolRunner):
        def run(self, *arguments, **options):
            taken.append(engine.pool.checkedout())
            return super().run(*arguments, **options)

    assert invoke(serve(Looking()), alice).json["ok"]
    assert taken == [0]


class CountingRunner(FakeToolRunner):
    """A tool runner that calls `during` while a tool runs, and numbers the results."""

    def __init__(self, *specs, during=lambda: None):
        super().__init__(*specs)
        self.runs, self._during = 0, during

    def run(self, *args, **options):
        self.runs += 1
        self._during()
        return replace(super().run(*args, **options), content=f"run {self.runs}")


def test_a_repeated_call_with_its_idempotency_key_runs_once(serve, alice):
    function = serve(runner := CountingRunner())
    first, again = invoke(function, alice, key="k1"), invoke(function, alice, key="k1")

    assert (first.json["content"], again.json, runner.runs) == ("run 1", first.json, 1)
    assert invoke(function, alice, key="k2").json["content"] == "run 2"


@pytest.mark.parametrize("change", [{"arguments": {"text": "other"}}, {"name": "whisper"}])
def test_an_idempotency_key_fits_one_call(serve, alice, change):
    function = serve(runner := CountingRunner(make_spec(), make_spec("whisper")))
    invoke(function, alice, key="k1")
    answer = invoke(function, alice, key="k1", **change)

    assert (answer.status, answer.json["code"], runner.runs) == (422, "idempotency_key_reused", 1)


def test_a_repeat_while_the_first_call_runs_is_told_to_come_back(serve, engine, alice):
    repeats = []
    repeated = Idempotency("k1").request(
        "POST /tools/{id}/invoke", InvokeIn(arguments={"text": "hello"}), render=None, parameters=["shout"]
    )

    def repeat():
        repeats.extend(outcomes([partial(repeated.run_exclusively, engine, alice.principal, None, Deadline.after(20))]))

    function = serve(runner := CountingRunner(during=repeat))

    assert invoke(function, alice, key="k1").json["content"] == "run 1"
    assert ([type(error) for error in repeats], runner.runs) == ([RequestInProgress], 1)


def test_a_call_whose_worker_died_can_be_repeated_after_its_time(serve, alice, postgres):
    class Died(BaseException):
        """The end of the process, which runs no more code."""

    def die():
        raise Died

    function = serve(runner := CountingRunner(during=die))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("parley.db.idempotency.release", lambda *args, **options: None)
        assert invoke(function, alice, key="k1").status == 500
    runner._during = lambda: None
    assert invoke(function, alice, key="k1").json["code"] == "in_progress"
    postgres.execute(f"UPDATE idempotency_keys SET running_until = now() - interval '1 s' WHERE user_id = '{alice.id}'", dbname="parley")

    assert invoke(function, alice, key="k1").json["content"] == "run 2"


def test_a_refused_call_can_be_repeated_with_its_idempotency_key(serve, alice):
    function = serve(CountingRunner())
    put(function, alice, {"enabled": False})
    assert invoke(function, alice, key="k1").status == 409
    put(function, alice, {"enabled": True})

    assert invoke(function, alice, key="k1").status == 200
