"""What becomes of the two answers to an event."""

import asyncio

from local.samlocal.answer import Answer
from local.samlocal.journey import Journey, Step
from local.samlocal.lane import Seen, ask_sam, compared, references
from local.samlocal.process import ProcessFailed
from tests.local.conftest import STACK

STEP = Step("chat_message", "{}")


class FakeSam:
    """Answers what it was given, or fails by it."""

    def __init__(self, result):
        self.result = result

    async def invoke(self, function, event):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result, "START\nEND"


def ask(result, journey):
    return asyncio.run(ask_sam(FakeSam(result), "ChatFunction", STEP, journey))


def test_equal_answers_are_the_same_whatever_was_logged():
    assert compared(STEP, Seen("200", "200\nhi"), Seen("200", "200\nhi", "START\nEND"), 1.0).is_same


def test_answers_that_differ_come_with_the_containers_log():
    row = compared(STEP, Seen("200", "200\nhi"), Seen("500", "500\nhi", "START\nTraceback\nEND"), 1.0)

    assert not row.is_same
    assert "+500" in row.difference
    assert row.difference.endswith("logged by sam local:\nSTART\nTraceback\nEND")


def test_what_sam_answers_teaches_the_journey():
    journey = Journey()
    found = "01996f6a-aaaa-7000-8000-00000000000a"

    seen = ask(Answer("200", f'{{"conversation_id":"{found}"}}'), journey)

    assert seen == Seen("200", '200\n\n{\n  "conversation_id": "<conversation>"\n}', "START\nEND")
    assert journey.known == {found: "conversation"}


def test_no_answer_from_sam_is_a_difference():
    seen = ask(ProcessFailed("sam local invoke", "cannot pull"), Journey())

    assert seen.status == "none"
    assert "+cannot pull" in compared(STEP, Seen("200", "200\nhi"), seen, 1.0).difference


def test_containers_find_queues_where_they_find_aws():
    found = references(STACK, "http://host:1")

    assert found["WorkQueue"] == "http://host:1/123456789012/WorkQueue"
    assert found["FilesBucket"] == "parley-filesbucket"
