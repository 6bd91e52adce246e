"""The request to the model: its texts, images and tools, and what fits into the model's window."""

from uuid import uuid4

import pytest

from functions.chat.turn.assistant import TurnAssistant
from functions.chat.turn.prompt import (
    DEFAULT_SYSTEM_PROMPT,
    PromptContext,
    build_request,
    can_serve,
    memory_tokens,
    request_tokens,
    retrieval_budget,
    select_tools,
    source_tokens,
)
from functions.chat.turn.question import IMAGE_NOTE, Question
from parley.clock import utc_now
from parley.db.messages import HistoryMessage
from parley.db.projects.projects import Project
from parley.errors import InvalidInput
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.candidates import Candidate
from parley.llm.errors import ContextTooLong, ModelCannot
from parley.llm.model import Model
from parley.llm.tokens import estimate_tokens
from parley.memory.window import SUMMARY_HEADING
from parley.tools.ask_user import ASK_USER
from tests.support.toolbox import RecordingToolbox

ANSWER_TOKENS = 100
HELLO, WITH_TOOLS = Question("hello"), Question("hello", tools=True)
TOOLBOX = RecordingToolbox().add("clock").add("search_conversations")
GROUNDED = {"facts": ["nuts"], "passages": ["Friday"], "sources": [llm.Source(1, "Safe", "4711")]}
IMAGE = {"type": "image", "id": "i", "key": "k", "media_type": "image/png"}
CALL = {"type": "tool_call", "call_id": "c", "name": "clock", "arguments": {}}
RESULT = {"type": "tool_result", "call_id": "c", "ok": True, "content": "noon"}


def window(tokens, *, abilities=("tools", "images")):
    """Return a model with room for this many tokens beside its answer."""
    return Candidate(
        "m",
        Model(
            provider="offline",
            name="m",
            context_tokens=tokens + ANSWER_TOKENS,
            max_output_tokens=ANSWER_TOKENS,
            abilities=frozenset(abilities),
        ),
    )


def context(*history, question=HELLO, **fields):
    return PromptContext(conversation=None, history=history, question=question, **fields)


def said(role, text, *parts, tokens=100):
    return HistoryMessage(new_id(), role, [*parts, {"type": "text", "text": text}], tokens)


def texts(request):
    return [message.text for message in request.messages]


def used_tokens(full, *parts_so_far):
    """Return the tokens of the request without its answer."""
    roomy = window(50_000)
    return request_tokens(build_request(full, roomy, parts_so_far), roomy.model) - ANSWER_TOKENS


def project(**fields):
    defaults = {"instructions": "In Latin.", "memory_scope": "all", "documents": ()}
    return Project(id=uuid4(), name="Birds", created_at=utc_now(), **defaults | fields)


def assistant(**fields):
    defaults = {
        "instructions": "Be brief.",
        "model": None,
        "tools": True,
        "uses_memory": True,
        "is_own": True,
        "has_chosen_documents": False,
    }
    return TurnAssistant(id=uuid4(), version=1, **defaults | fields)


# Fitting the window


@pytest.mark.parametrize("parts", [(), (CALL, RESULT)])
def test_a_request_may_fill_the_window_and_not_exceed_it_by_a_token(parts):
    full = context(question=WITH_TOOLS, offered=TOOLBOX.offered, **GROUNDED)
    needed = used_tokens(full, *parts)

    assert build_request(full, window(needed), parts).tools
    with pytest.raises(ContextTooLong):
        build_request(full, window(needed - 1), parts)


@pytest.mark.parametrize("retrieved", [{}, GROUNDED])
def test_a_question_that_is_too_long_is_refused_with_its_size_and_the_limit(retrieved):
    with pytest.raises(ContextTooLong) as refused:
        build_request(context(**retrieved), window(-50))

    assert str(refused.value) == str(ContextTooLong("m", tokens=used_tokens(context(**retrieved)), limit=0))


def test_every_part_of_a_request_is_counted():
    plain, grounded = context(), context(offered=TOOLBOX.offered[:1], question=WITH_TOOLS, **GROUNDED)
    (tool,) = build_request(grounded, window(50_000)).tools
    sources = sum(map(estimate_tokens, ("nuts", "Friday", "[1] Safe\n  4711")))

    assert used_tokens(plain) == estimate_tokens(DEFAULT_SYSTEM_PROMPT) + estimate_tokens("hello")
    assert used_tokens(grounded) - used_tokens(plain) == estimate_tokens(tool.text) + sources


@pytest.mark.parametrize(("spare", "sent"), [(300, ["a", "b", "c", "hello"]), (299, ["b", "c", "hello"]), (99, ["hello"])])
def test_as_many_of_the_newest_messages_are_sent_as_fit(spare, sent):
    full = context(*(said("user", text) for text in "abc"))

    assert texts(build_request(full, window(used_tokens(context()) + spare))) == sent


def test_messages_leave_room_for_memory_and_sources_that_are_not_retrieved_yet():
    history = [said("user", str(number)) for number in range(60)]
    searching = context(*history, question=Question("hello", documents=True), remembers=True)
    needed = used_tokens(context())
    sent = build_request(searching, window(needed + 1200)).messages

    assert len(sent) - 1 == (1200 - 1200 // 4 - 1200 // 3) // 100


@pytest.mark.parametrize(("words", "kept"), [("nuts", 9), ("nut " * 600, 3)])
def test_retrieved_memory_takes_what_was_reserved_for_it_or_more_if_it_is_longer(words, kept):
    history = [said("user", str(number)) for number in range(60)]
    remembering = context(*history, remembers=True, facts=[words])

    assert len(build_request(remembering, window(used_tokens(context()) + 1200)).messages) - 1 == kept


def test_what_is_retrieved_has_a_share_of_the_room_and_a_limit():
    searching = context(question=Question("hello", documents=True), remembers=True)

    assert [memory_tokens(searching, room_tokens=room) for room in (-9, 0, 401, 5_999, 6_004, 90_000)] == [0, 0, 100, 1_499, 1_500, 1_500]
    assert [source_tokens(searching, room_tokens=room) for room in (-9, 0, 301, 11_999, 90_000)] == [0, 0, 100, 3_999, 4_000]
    assert (memory_tokens(context(), room_tokens=900), source_tokens(context(), room_tokens=900)) == (0, 0)


def test_the_budget_of_a_retrieval_is_what_tools_and_question_leave():
    searching = Question("hello", tools=True, documents=True)
    full = context(*(said("user", str(number)) for number in range(60)), question=searching, offered=TOOLBOX.offered, remembers=True)
    needed = used_tokens(context(question=WITH_TOOLS, offered=TOOLBOX.offered))
    budget = retrieval_budget(full, window(needed + 1200))

    assert (budget.memory_tokens, budget.source_tokens, budget.history_messages) == (300, 400, 5)


def test_a_model_serves_a_request_that_fits_and_that_it_is_able_to():
    request = build_request(context(question=WITH_TOOLS, offered=TOOLBOX.offered), window(5_000))
    needed = request_tokens(request, window(5_000).model) - ANSWER_TOKENS

    assert can_serve(window(needed), request)
    assert not can_serve(window(needed - 1), request)
    assert not can_serve(window(5_000, abilities=()), request)


@pytest.mark.parametrize(("wanted", "limit"), [(None, 100), (50, 50), (9_000, 100)])
def test_an_answer_has_the_length_that_is_asked_for_and_no_more_than_the_models(wanted, limit):
    request = build_request(context(question=Question("hello", max_output_tokens=wanted)), window(5_000))

    assert request.max_output_tokens == limit
    assert request_tokens(request, window(5_000).model) == used_tokens(context()) + limit


def test_a_summary_stands_for_the_messages_that_are_left_out():
    full = context(said("user", "a", tokens=5_000), summary="They baked bread.")

    assert build_request(full, window(1_000)).system == f"{DEFAULT_SYSTEM_PROMPT}{SUMMARY_HEADING}They baked bread."


# The results of this turn's tools


def calls_with(*contents):
    calls = [CALL | {"call_id": str(number)} for number in range(len(contents))]
    results = [RESULT | {"call_id": str(number), "content": content} for number, content in enumerate(contents)]
    return [{"type": "text", "text": "Let me see."}, *calls, *results]


def results_of(request):
    return [part.text for message in request.messages for part in message.parts if isinstance(part, llm.ToolResult)]


def test_results_that_just_fit_are_whole():
    parts, full = calls_with("x" * 3_000, "y" * 3_000), context(question=WITH_TOOLS, offered=TOOLBOX.offered)
    needed = used_tokens(full, *parts)

    for room, are_cut in ((needed, [False, False]), (needed - 1, [True, True])):
        assert [text.endswith("longer.]") for text in results_of(build_request(full, window(room), parts))] == are_cut


def test_results_that_are_too_long_share_nearly_all_of_the_room():
    parts = calls_with("x" * 9_000, "y" * 9_000)
    request = build_request(context(question=WITH_TOOLS, offered=TOOLBOX.offered, **GROUNDED), window(3_000), parts)
    one, other = map(len, results_of(request))

    assert one == other
    # The notes on what was cut are counted twice.
    assert -60 < request_tokens(request, window(3_000).model) - 3_000 - ANSWER_TOKENS <= 0


def test_thoughts_are_counted_and_kept_if_results_are_cut():
    parts, full = calls_with("x" * 9_000), context(question=WITH_TOOLS, offered=TOOLBOX.offered)
    thought = {"type": "thought", "origin": "acme/m", "payload": "sealed " * 200}
    plain, thoughtful = (build_request(full, window(3_000), [*before, *parts]) for before in ([], [thought]))

    assert llm.Thought("acme/m", thought["payload"]) in thoughtful.messages[1].parts
    for request in (plain, thoughtful):
        assert -40 < request_tokens(request, window(3_000).model) - 3_000 - ANSWER_TOKENS <= 0


def test_thoughts_of_an_answer_that_fits_are_sent():
    thought = {"type": "thought", "origin": "acme/m", "payload": "sealed"}
    request = build_request(context(question=WITH_TOOLS, offered=TOOLBOX.offered), window(3_000), [thought, CALL, RESULT])

    assert llm.Thought("acme/m", "sealed") in request.messages[1].parts


@pytest.mark.parametrize(("fields", "choice"), [({}, "auto"), ({"may_call": True}, "auto"), ({"may_call": False}, "none")])
def test_the_last_round_describes_the_tools_and_forbids_their_use(fields, choice):
    request = build_request(context(question=WITH_TOOLS, offered=TOOLBOX.offered), window(5_000), **fields)

    assert (request.tool_choice, len(request.tools)) == (choice, 2)


def test_a_model_without_tools_does_not_continue_an_answer_with_calls():
    full = context(question=WITH_TOOLS, offered=TOOLBOX.offered)

    assert build_request(full, window(5_000, abilities=()), [{"type": "text", "text": "So far."}]).tools == []
    with pytest.raises(ModelCannot):
        build_request(full, window(5_000, abilities=()), [CALL, RESULT])


# Instructions, images and earlier calls


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({}, DEFAULT_SYSTEM_PROMPT),
        ({"project": project()}, f"{DEFAULT_SYSTEM_PROMPT}\n\nIn Latin."),
        ({"project": project(instructions=None)}, DEFAULT_SYSTEM_PROMPT),
        ({"question": Question("hello", assistant=assistant())}, "Be brief."),
        ({"question": Question("hello", assistant=assistant(instructions=""))}, DEFAULT_SYSTEM_PROMPT),
    ],
)
def test_the_model_is_given_the_instructions_of_assistant_and_project(fields, prompt):
    assert context(**fields).system_prompt == prompt


DOCUMENT, OTHER = uuid4(), uuid4()


@pytest.mark.parametrize(
    ("documents", "of_project", "searched"),
    [
        (False, None, None),
        (True, None, []),
        ([DOCUMENT], None, [DOCUMENT]),
        (False, [], None),
        (False, [OTHER], [OTHER]),
        (True, [OTHER], []),
        ([DOCUMENT], [OTHER], [DOCUMENT]),
    ],
)
def test_the_questions_documents_go_before_the_projects(documents, of_project, searched):
    of_turn = None if of_project is None else project(documents=of_project)
    full = context(question=Question("hello", documents=documents), project=of_turn)

    assert (list(full.only_documents) if full.searches_documents else None) == searched


def test_only_a_project_with_a_memory_of_its_own_limits_memory():
    shared, own = project(), project(memory_scope="project")

    assert [context(project=one).memory_project_id for one in (None, shared, own)] == [None, None, own.id]


def test_the_four_newest_messages_and_the_question_are_sent_with_their_images():
    history = [said("user", str(number), IMAGE) for number in range(5)]
    request = build_request(context(*history, question=Question("hello", images=[IMAGE])), window(50_000))
    blind = build_request(context(*history), window(50_000, abilities=()))

    assert [message.has_images for message in request.messages] == [False, True, True, True, True, True]
    assert [message.text for message in blind.messages][:2] == [f"{IMAGE_NOTE}\n0", f"{IMAGE_NOTE}\n1"]
    assert request.messages[0].text == f"{IMAGE_NOTE}\n0"


def test_an_answers_calls_are_sent_only_to_a_model_that_may_call():
    answer = HistoryMessage(new_id(), "assistant", [CALL, RESULT, {"type": "text", "text": "Noon."}], 9)
    with_tools = build_request(context(answer, question=WITH_TOOLS, offered=TOOLBOX.offered), window(5_000))
    without = build_request(context(answer), window(5_000))

    assert [message.role for message in with_tools.messages] == ["assistant", "tool", "assistant", "user"]
    assert [(message.role, message.text) for message in without.messages] == [("assistant", "Noon."), ("user", "hello")]


def test_a_message_without_text_is_left_out():
    assert texts(build_request(context(said("assistant", "")), window(5_000))) == ["hello"]


@pytest.mark.parametrize(
    ("fields", "parts", "is_tainted"),
    [
        ({}, [], False),
        ({"is_history_truncated": True}, [], True),
        ({}, [RESULT], True),
        ({}, [RESULT | {"is_vouched": True}], False),
        ({"question": Question("hello", images=[IMAGE])}, [], True),
    ],
)
def test_a_context_that_strangers_may_have_written_is_tainted(fields, parts, is_tainted):
    assert context(**fields).is_tainted(parts) is is_tainted


def test_an_image_of_an_earlier_message_taints():
    assert context(said("user", "look", IMAGE)).is_tainted([])


# The tools


def names(question, *, remembers=True, toolbox=TOOLBOX, **options):
    return [tool.spec.name for tool in select_tools(toolbox, question, remembers=remembers, **options)]


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        ({"tools": True}, ["clock", "search_conversations"]),
        ({"tools": ["clock"]}, ["clock"]),
        ({"tools": ["clock", "clock"]}, ["clock"]),
        ({"tools": True, "asks_user": True}, ["clock", "search_conversations", "ask_user"]),
        ({"tools": ["clock"], "asks_user": True}, ["clock", "ask_user"]),
        ({"tools": True, "assistant": assistant(tools=["clock"])}, ["clock"]),
        ({"tools": True, "assistant": assistant(tools=False)}, []),
        ({"tools": True, "asks_user": True, "assistant": assistant(tools=["clock"])}, ["clock", "ask_user"]),
        ({"tools": ["search_conversations"], "assistant": assistant(tools=["clock"])}, ["search_conversations"]),
    ],
)
def test_the_question_chooses_tools_and_its_assistant_those_of_a_question_that_names_none(options, offered):
    assert names(Question("hello", **options)) == offered


def test_a_question_wants_neither_tools_nor_documents_unless_it_says_so():
    assert (HELLO.tools, HELLO.documents, HELLO.asks_user) == (False, False, False)


def test_a_turn_without_memory_does_not_search_the_past():
    assert names(Question("hello", tools=True), remembers=False) == ["clock"]


def test_a_tool_called_ask_user_does_not_replace_the_question_to_the_user():
    (tool,) = select_tools(RecordingToolbox().add("ask_user"), Question("hello", tools=True, asks_user=True), remembers=True)

    assert tool.spec is ASK_USER


def test_a_tool_that_is_gone_is_refused_in_a_new_turn_and_left_out_of_a_resumed_one():
    with pytest.raises(InvalidInput, match="1 unknown"):
        names(Question("hello", tools=["clock", "gone"]))

    assert names(Question("hello", tools=["clock", "gone"]), require_all=False) == ["clock"]
