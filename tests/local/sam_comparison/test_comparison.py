"""The comparison of two answers to an event."""

import asyncio

from local.sam_comparison.answers import FunctionAnswer
from local.sam_comparison.comparison import ObservedAnswer, compare_step, invoke_by_sam, resource_references
from local.sam_comparison.process import ProcessFailed
from local.sam_comparison.scenario import ScenarioState, ScenarioStep
from tests.local.conftest import STACK

STEP = ScenarioStep("chat_message", "{}")


class FakeSam:
    """Returns the given answer, or raises it if it is an exception."""

    def __init__(self, result):
        self.result = result

    async def invoke(self, function, event):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result, "START\nEND"


def ask(result, state):
    return asyncio.run(invoke_by_sam(FakeSam(result), "ChatFunction", STEP, state))


def test_equal_answers_are_the_same_whatever_was_logged():
    assert compare_step(STEP, ObservedAnswer("200", "200\nhi"), ObservedAnswer("200", "200\nhi", "START\nEND"), 1.0).is_same


def test_answers_that_differ_come_with_the_containers_log():
    row = compare_step(STEP, ObservedAnswer("200", "200\nhi"), ObservedAnswer("500", "500\nhi", "START\nTraceback\nEND"), 1.0)

    assert not row.is_same
    assert "+500" in row.difference
    assert row.difference.endswith("logged by sam local:\nSTART\nTraceback\nEND")


def test_what_sam_answers_teaches_the_journey():
    state = ScenarioState()
    found = "01996f6a-aaaa-7000-8000-00000000000a"

    seen = ask(FunctionAnswer("200", f'{{"conversation_id":"{found}"}}'), state)

    assert seen == ObservedAnswer("200", '200\n\n{\n  "conversation_id": "<conversation>"\n}', "START\nEND")
    assert state.known == {found: "conversation"}


def test_no_answer_from_sam_is_a_difference():
    seen = ask(ProcessFailed("sam local invoke", "cannot pull"), ScenarioState())

    assert seen.status == "none"
    assert "+cannot pull" in compare_step(STEP, ObservedAnswer("200", "200\nhi"), seen, 1.0).difference


def test_containers_find_queues_where_they_find_aws():
    found = resource_references(STACK, "http://host:1")

    assert found["WorkQueue"] == "http://host:1/123456789012/WorkQueue"
    assert found["FilesBucket"] == "parley-filesbucket"
