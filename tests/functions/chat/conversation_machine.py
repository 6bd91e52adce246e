"""A Hypothesis state machine: a user does anything the API allows, in any order and through two processes, and an oracle
predicts the result.
"""

import json
import re
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.fakes.provider import FakeProvider
from tests.functions.chat.oracle import NUMBERS, ExpectedConversation, ExpectedTurn, Oracle, outcome_of
from tests.support.api_gateway import Answer, Person
from tests.support.lambda_workers import LambdaWorkers, PendingAnswer

PICKS = st.integers(0, 99)
PROCESSES = st.integers(0, 1)
MAX_OPEN_STREAMS = 6
QUICK_VERBS = st.sampled_from(["answers", "answers", "hangs up", "refuses"])
PAGE_SIZE = 100


def numbered_events(answer: Answer) -> list[tuple[int, str, dict[str, Any]]]:
    """Return a stream's events as (id, name, data)."""
    found = re.findall(r"^id: (\d+)\nevent: (.+)\ndata: (.+)$", answer.body.decode(), re.MULTILINE)
    return [(int(number), name, json.loads(data)) for number, name, data in found]


class ConversationMachine(RuleBasedStateMachine):
    """The actions of `alice`. A choice is a number, taken modulo the number of options."""

    def __init__(self, workers: LambdaWorkers, provider: FakeProvider, alice: Person, bob: Person) -> None:
        super().__init__()
        self.workers, self.provider, self.alice, self.bob, self.oracle = workers, provider, alice, bob, Oracle()
        self.streams: dict[ExpectedTurn, PendingAnswer] = {}
        self.readers: list[tuple[ExpectedTurn, int, PendingAnswer]] = []
        self.touched: ExpectedConversation | None = None

    # Turns

    @rule(pick=PICKS, verb=QUICK_VERBS, stream=st.booleans(), is_keyed=st.booleans(), process=PROCESSES)
    def ask(self, pick: int, verb: str, stream: bool, is_keyed: bool, process: int) -> None:
        """Send a question to an existing or a new conversation."""
        conversation = self._conversation(pick, or_new=True)
        body = {"message": f"{verb} {next(NUMBERS)}", "stream": stream or verb == "refuses"}
        self._take(conversation, "/chat", body, is_keyed, process)

    @precondition(lambda self: len(self.streams) < MAX_OPEN_STREAMS)
    @rule(pick=PICKS, verb=st.sampled_from(["pauses", "waits"]), is_keyed=st.booleans(), process=PROCESSES)
    def ask_slow_question(self, pick: int, verb: str, is_keyed: bool, process: int) -> None:
        self._take(self._conversation(pick, or_new=True), "/chat", {"message": f"{verb} {next(NUMBERS)}"}, is_keyed, process)

    @precondition(lambda self: self.oracle.conversations)
    @rule(pick=PICKS, is_keyed=st.booleans(), process=PROCESSES)
    def regenerate(self, pick: int, is_keyed: bool, process: int) -> None:
        self._take(self._conversation(pick), "/chat/regenerate", {}, is_keyed, process)

    @precondition(lambda self: self.streams)
    @rule(pick=PICKS)
    def finish_slow_turn(self, pick: int) -> None:
        turn = self._running(pick)
        self._release(turn)
        self._end(turn, *outcome_of(turn.question, turn.expected))

    @precondition(lambda self: self.streams)
    @rule(pick=PICKS, process=PROCESSES)
    def stop(self, pick: int, process: int) -> None:
        turn = self._running(pick)
        assert self._post(f"/chat/turns/{turn.id}/stop", process=process).status == 202
        self._end(turn, "stopped", turn.expected[:1] if turn.question.startswith("pauses") else [])
        self._release(turn)

    # Existing turns

    @precondition(lambda self: any(turn.key for turn in self.oracle.turns))
    @rule(pick=PICKS, process=PROCESSES)
    def repeat(self, pick: int, process: int) -> None:
        """Repeat a request with its key: nothing is done, and the response is the first one. While that one runs, a stream joins it."""
        turn = self._keyed(pick)
        is_stream = turn.body.get("stream", True)
        if turn.status == "running" and is_stream and len(self.readers) == MAX_OPEN_STREAMS:
            return
        pending = self.workers.send("POST", turn.route, turn.body, as_=self.alice, key=turn.key, process=process)
        if turn.status == "running" and is_stream:
            pending.so_far("\n\n")
            self.readers.append((turn, 0, pending))
        elif turn.status == "running":
            refused = pending.answer()
            assert (refused.status, refused.json["code"], refused.json["turn_id"]) == (409, "in_progress", turn.id)
        elif is_stream:
            self._check_stream(turn, pending.answer())
        else:
            assert self._without_active_variant(pending.answer()) == self._without_active_variant(turn.answer)

    @precondition(lambda self: any(turn.key for turn in self.oracle.turns))
    @rule(pick=PICKS, process=PROCESSES)
    def reuse_a_key(self, pick: int, process: int) -> None:
        """Send a different request with a used key."""
        turn = self._keyed(pick)
        refused = self._post(turn.route, turn.body | {"model": "another"}, key=turn.key, process=process)
        assert (refused.status, refused.json["code"]) == (422, "idempotency_key_reused")

    @precondition(lambda self: self.oracle.turns)
    @rule(pick=PICKS, process=PROCESSES)
    def stop_any_turn(self, pick: int, process: int) -> None:
        turn = self._turn(pick)
        if turn.status != "running":
            assert self._post(f"/chat/turns/{turn.id}/stop", process=process).status == 202
        self.touched = turn.conversation

    @precondition(lambda self: self.oracle.turns and len(self.readers) < MAX_OPEN_STREAMS)
    @rule(pick=PICKS, after=st.integers(0, 6), process=PROCESSES)
    def read_events(self, pick: int, after: int, process: int) -> None:
        """Replay a turn from any event on, or follow it while it runs."""
        turn = self._turn(pick)
        reader = self.workers.send("GET", f"/chat/turns/{turn.id}/events?after={after}", as_=self.alice, process=process)
        if turn.status == "running":
            reader.so_far("\n\n")  # an event, or a ping: it follows
            self.readers.append((turn, after, reader))
        else:
            self._check_replay(turn, after, reader.answer())

    @precondition(lambda self: self.oracle.turns)
    @rule(pick=PICKS, process=PROCESSES)
    def show(self, pick: int, process: int) -> None:
        turn = self._turn(pick)
        shown = self._get(f"/chat/turns/{turn.id}", process=process).json
        assert (shown["status"], shown["conversation_id"]) == (turn.status, turn.conversation.id)
        assert shown["text"] == turn.text if turn.status != "running" else "".join(turn.expected).startswith(shown["text"])

    # Conversations

    @rule(process=PROCESSES)
    def open_a_conversation(self, process: int) -> None:
        made = ExpectedConversation(self._post("/conversations", {}, process=process).json["id"])
        self.oracle.conversations.append(made)
        self.touched = made

    @precondition(lambda self: self.oracle.conversations)
    @rule(pick=PICKS, upto=st.integers(0, 8), process=PROCESSES)
    def fork(self, pick: int, upto: int, process: int) -> None:
        """Fork a conversation, and repeat the request with its key."""
        source, key = self._conversation(pick), f"fork {next(NUMBERS)}"
        body = {"upto_seq": min(upto, len(source.messages) + 1)}
        first, second = (self._post(f"/conversations/{source.id}/fork", body, key=key, process=process + n) for n in (0, 1))
        if not 1 <= body["upto_seq"] <= len(source.messages):
            assert (first.status, second.status) == (422, 422)
            return
        assert (first.status, first.json) == (201, second.json)
        self.touched = source.fork(body["upto_seq"])
        self.touched.id = first.json["id"]
        self.oracle.conversations.append(self.touched)

    @precondition(lambda self: self.oracle.conversations)
    @rule(pick=PICKS, process=PROCESSES)
    def delete(self, pick: int, process: int) -> None:
        """Delete a conversation. A turn that runs in it ends, and its answer is gone."""
        deleted = self._conversation(pick)
        turn, turns = deleted.running, [turn for turn in self.oracle.turns if turn.conversation is deleted]
        assert self.workers.ask("DELETE", f"/conversations/{deleted.id}", as_=self.alice, process=process).status == 204
        self.oracle.forget(deleted)
        if turn:
            _, *_, (_, name, problem) = numbered_events(self.streams.pop(turn).answer())
            assert (name, problem["code"]) == ("turn.failed", "not_found")
            self._release(turn)
        for path in [f"/conversations/{deleted.id}/messages", *(f"/chat/turns/{turn.id}" for turn in turns[:1])]:
            assert self._get(path, process=process).status == 404
        self._check_readers(turn)

    @precondition(lambda self: self.oracle.turns)
    @rule(pick=PICKS, process=PROCESSES)
    def snoop(self, pick: int, process: int) -> None:
        """Another user finds nothing and changes nothing."""
        turn = self._turn(pick)
        for method, path in [
            ("GET", f"/conversations/{turn.conversation.id}/messages"),
            ("GET", f"/chat/turns/{turn.id}/events"),
            ("POST", f"/chat/turns/{turn.id}/stop"),
            ("DELETE", f"/conversations/{turn.conversation.id}"),
        ]:
            assert self.workers.ask(method, path, as_=self.bob, process=process).status == 404
        self.touched = turn.conversation

    # Invariants

    @invariant()
    def conversation_matches_the_oracle(self) -> None:
        if self.touched and self.touched.exists:
            assert self._messages(self.touched) == self.touched.shown()
        self.touched = None

    @invariant()
    def model_calls_match_the_oracle(self) -> None:
        assert {question: len(self.provider.histories[question]) for question in self.oracle.calls} == self.oracle.calls

    def teardown(self) -> None:
        """End all turns and compare the whole stored state with the oracle."""
        for turn in list(self.streams):
            self._release(turn)
            self._end(turn, *outcome_of(turn.question, turn.expected))
        listed = self._pages("/conversations")
        assert {item["id"] for item in listed} == {item.id for item in self.oracle.conversations}
        for conversation in self.oracle.conversations:
            assert self._messages(conversation) == conversation.shown()
        self.model_calls_match_the_oracle()

    # Helpers

    def _take(self, conversation: ExpectedConversation, route: str, body: dict[str, Any], is_keyed: bool, process: int) -> None:
        """Take a turn, or check its refusal."""
        key = f"key {next(NUMBERS)}" if is_keyed else None
        body = body | {"conversation_id": conversation.id} if conversation.id else body
        place = conversation.last_question() if route.endswith("regenerate") else None
        question = body.get("message") or (conversation.messages[place].text if place is not None else "")
        self.touched = conversation
        if conversation.running or not question:
            refused = self._post(route, body, key=key, process=process)
            code = "conversation_busy" if conversation.running else "nothing_to_regenerate"
            assert (refused.status, refused.json["code"]) == (409, code)
            return
        context, pieces = conversation.history(place), self.oracle.call(question)
        turn = ExpectedTurn(conversation, question, body, route, key, pieces)
        self._begin(turn, is_new_question=place is None)
        pending = self.workers.send("POST", route, body, as_=self.alice, key=key, process=process)
        if self.oracle.is_slow(question):
            self._wait_for_text(turn, pending)
        else:
            self._finish(turn, pending.answer())
        assert self.provider.histories[question][-1] == context

    def _begin(self, turn: ExpectedTurn, *, is_new_question: bool) -> None:
        conversation = turn.conversation
        if is_new_question:
            conversation.messages.append(_question_message(turn.question))
        if conversation not in self.oracle.conversations:
            self.oracle.conversations.append(conversation)
        conversation.running = turn
        self.oracle.turns.append(turn)

    def _wait_for_text(self, turn: ExpectedTurn, pending: PendingAnswer) -> None:
        awaited_text = turn.expected[0] if turn.question.startswith("pauses") else "turn.started"
        _, name, started = numbered_events(pending.so_far(awaited_text))[0]
        assert name == "turn.started"
        self._store_ids(turn, started)
        self.streams[turn] = pending
        assert self.provider.is_asked(turn.question, self.oracle.calls[turn.question])

    def _finish(self, turn: ExpectedTurn, answer: Answer) -> None:
        status, pieces = outcome_of(turn.question, turn.expected)
        turn.conversation.end(turn, status, pieces)
        turn.answer = answer
        if turn.body.get("stream", True):
            self._store_ids(turn, numbered_events(answer)[0][2])
            self._check_stream(turn, answer, is_live=True)
        else:
            self._store_ids(turn, answer.json)
            assert (answer.status, answer.json["message"]["text"], answer.json["message"]["status"]) == (200, turn.text, status)

    def _end(self, turn: ExpectedTurn, status: str, pieces: list[str]) -> None:
        """Read the end of a turn that was running, and record it in the oracle."""
        turn.answer = self.streams.pop(turn).answer()
        turn.conversation.end(turn, status, pieces)
        self._check_stream(turn, turn.answer, is_live=True)
        self.touched = turn.conversation
        self._check_readers(turn)

    def _check_readers(self, turn: ExpectedTurn | None) -> None:
        """Check the streams of all readers that followed an ended turn."""
        for item in [item for item in self.readers if item[0] is turn]:
            self.readers.remove(item)
            if turn.conversation.exists:
                self._check_replay(turn, item[1], item[2].answer())
            else:
                assert numbered_events(item[2].answer())[-1][1] == "turn.failed"

    def _check_stream(self, turn: ExpectedTurn, answer: Answer, *, is_live: bool = False) -> None:
        """Check a whole stream: live with one event for each delta, or replayed."""
        found = numbered_events(answer)
        texts = [(number, data["text"]) for number, name, data in found if name == "text.delta"]
        assert [name for _, name, _ in found if name != "text.delta"] == ["turn.started", f"turn.{turn.status}"]
        assert "".join(text for _, text in texts) == turn.text
        assert (found[0][0], found[-1][0]) == (1, 2 + len(turn.pieces))
        if is_live:
            assert texts == list(enumerate(turn.pieces, start=2))
        else:
            live = numbered_events(turn.answer)
            assert (found[0], found[-1]) == (live[0], live[-1])

    def _check_replay(self, turn: ExpectedTurn, after: int, answer: Answer) -> None:
        found = numbered_events(answer)
        assert "".join(data["text"] for _, name, data in found if name == "text.delta") == turn.text_after(after)
        assert (found[-1][0], found[-1][1]) == (2 + len(turn.pieces), f"turn.{turn.status}")
        assert all(number > after for number, *_ in found[:-1])

    def _messages(self, conversation: ExpectedConversation) -> list[tuple[Any, ...]]:
        names = ("seq", "variant", "role", "text", "status", "is_active")
        return [tuple(item[name] for name in names) for item in self._pages(f"/conversations/{conversation.id}/messages?variants=true")]

    def _pages(self, path: str) -> list[dict[str, Any]]:
        items, cursor = [], ""
        while cursor is not None:
            page = self._get(f"{path}{'&' if '?' in path else '?'}limit={PAGE_SIZE}{cursor and '&cursor='}{cursor}").json
            items, cursor = items + page["items"], page["next_cursor"]
        return items

    def _store_ids(self, turn: ExpectedTurn, ids: dict[str, Any]) -> None:
        """Record the ids that the API assigned."""
        assert turn.conversation.id in ("", ids["conversation_id"])
        turn.id, turn.conversation.id = ids["turn_id"], ids["conversation_id"]

    def _release(self, turn: ExpectedTurn) -> None:
        self.oracle.released.add(turn.question)
        self.provider.released.add(turn.question)
        self.provider.gates[turn.expected[0]].set()

    def _without_active_variant(self, answer: Answer) -> Any:
        """Return a response without the fields that a new variant changes."""
        return answer.status, answer.json | {"message": answer.json["message"] | {"is_active": None}}

    def _conversation(self, pick: int, *, or_new: bool = False) -> ExpectedConversation:
        choices = [*self.oracle.conversations, *([ExpectedConversation()] if or_new else [])]
        return choices[pick % len(choices)]

    def _turn(self, pick: int) -> ExpectedTurn:
        return self.oracle.turns[pick % len(self.oracle.turns)]

    def _keyed(self, pick: int) -> ExpectedTurn:
        turns = [turn for turn in self.oracle.turns if turn.key]
        return turns[pick % len(turns)]

    def _running(self, pick: int) -> ExpectedTurn:
        return list(self.streams)[pick % len(self.streams)]

    def _get(self, path: str, **options: Any) -> Answer:
        return self.workers.ask("GET", path, as_=self.alice, **options)

    def _post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.workers.ask("POST", path, body, as_=self.alice, **options)


def _question_message(question: str) -> Any:
    from tests.functions.chat.oracle import ExpectedMessage

    return ExpectedMessage("user", [(question, "completed")])
