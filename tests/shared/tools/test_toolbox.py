import threading

import pytest

from parley.auth.encryption import TextCipher
from parley.db import mcp_servers, tool_settings
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.tools.mcp import McpEndpoint
from parley.tools.mcp_registry import McpRegistry, encrypt_credentials
from parley.tools.outcome import MAX_RESULT_BYTES, ToolOutcome, log_name
from parley.tools.toolbox import InProcessTool, make_toolbox
from tests.fakes.cloudwatch import read_metrics, total
from tests.fakes.tool_servers import FakeMcpCalls, FakeToolRunner, make_spec, mcp_tool

SEAL = TextCipher(lambda: bytes(32))


@pytest.fixture
def box(engine, alice):
    """Return a function that makes a toolbox, by default Alice's with a new runner."""

    def box(runner=None, *, scopes=("chat", "tools"), user=alice, **options):
        with user_scope(engine, user.id) as connection:
            return make_toolbox(connection, runner or FakeToolRunner(), user_id=user.id, scopes=scopes, **options)

    return box


@pytest.fixture
def set_tool(engine, alice):
    def set_tool(name, **changes):
        with user_scope(engine, alice.id) as connection:
            tool_settings.change(connection, name, user_id=alice.id, changes=changes)

    return set_tool


@pytest.fixture
def add_server(engine, alice):
    """Return a function that stores an MCP server of Alice's with these discovered tools."""

    def add_server(name="notes", *tools, headers=None):
        server_id = new_id()
        sealed = encrypt_credentials(SEAL, headers or {}, server_id, user_id=alice.id)
        with user_scope(engine, alice.id) as connection:
            mcp_servers.add(connection, server_id, user_id=alice.id, name=name, url="https://mcp.example.com/mcp", headers=sealed)
            mcp_servers.store_listing(connection, server_id, user_id=alice.id, tools=tools or [mcp_tool()], error=None)
        return server_id

    return add_server


def names(box):
    return [tool.spec.name for tool in box.offered]


def test_a_tool_runs_for_the_user_the_box_was_made_for(box, alice):
    runner = FakeToolRunner()
    outcome = box(runner).run("shout", {"text": "hello"}, timeout_s=3.0)

    assert (outcome.ok, outcome.content) == (True, "HELLO")
    assert runner.requests == [("shout", {"text": "hello"}, alice.id, 3.0)]


def test_a_tool_gets_at_most_its_own_timeout(box):
    runner = FakeToolRunner(make_spec(timeout_s=2.0))
    box(runner).run("shout", {"text": "hello"}, timeout_s=9.0)

    assert runner.requests[0][3] == 2.0


@pytest.mark.parametrize("arguments", [{}, {"text": 7}, {"text": "x", "user_id": "someone"}])
def test_arguments_that_do_not_match_run_nothing(box, arguments):
    runner = FakeToolRunner()
    outcome = box(runner).run("shout", arguments, timeout_s=3.0)

    assert (outcome.ok, runner.requests) == (False, [])


def test_an_unknown_tool_is_an_outcome(box):
    assert box().run("rm -rf", {}, timeout_s=3.0) == ToolOutcome(False, "Unknown tool 'rm -rf'.", 0.0)


def test_a_disabled_tool_is_neither_offered_nor_run(box, set_tool):
    runner = FakeToolRunner()
    set_tool("shout", is_enabled=False)

    assert (names(box(runner)), box(runner).run("shout", {"text": "x"}, timeout_s=3.0).ok, runner.requests) == ([], False, [])


def test_a_tool_that_is_off_until_enabled_can_be_enabled(box, set_tool):
    runner = FakeToolRunner(make_spec(is_enabled=False))
    before = names(box(runner))
    set_tool("shout", is_enabled=True)

    assert (before, names(box(runner))) == ([], ["shout"])


def test_a_users_settings_apply_to_that_user_only(box, set_tool, bob):
    set_tool("shout", is_enabled=False)

    assert names(box(user=bob)) == ["shout"]


def test_a_user_can_require_approval_and_cannot_lift_a_tools_requirement(box, set_tool):
    set_tool("shout", requires_approval=True)
    set_tool("launch", requires_approval=False)
    found = box(FakeToolRunner(make_spec(), make_spec("launch", requires_approval=True), make_spec("quiet")))

    assert {tool.spec.name: tool.requires_approval for tool in found.offered} == {"launch": True, "quiet": False, "shout": True}


def test_a_tool_whose_scope_the_token_lacks_is_absent(box):
    runner = FakeToolRunner(make_spec(scopes=("documents",)))

    assert (names(box(runner, scopes=("tools",))), names(box(runner, scopes=("documents",)))) == ([], ["shout"])


def test_an_in_process_tool_runs_here_and_takes_precedence(box):
    runner = FakeToolRunner()
    in_process_tools = InProcessTool(make_spec(), lambda arguments: arguments["text"][::-1])
    outcome = box(runner, in_process_tools=[in_process_tools]).run("shout", {"text": "abc"}, timeout_s=3.0)

    assert (outcome.ok, outcome.content, runner.requests) == (True, "cba", [])


def test_a_tool_that_raises_is_an_outcome_without_the_exceptions_text(box):
    in_process_tools = InProcessTool(make_spec(), lambda arguments: 1 / 0)
    outcome = box(in_process_tools=[in_process_tools]).run("shout", {"text": "x"}, timeout_s=3.0)

    assert (outcome.ok, outcome.content) == (False, "The tool failed.")


def test_an_in_process_tool_that_hangs_is_abandoned_and_does_not_keep_its_process_alive(box):
    respond, threads = threading.Event(), []
    in_process_tools = InProcessTool(make_spec(), lambda arguments: f"{threads.append(threading.current_thread())} {respond.wait(20)}")
    outcome = box(in_process_tools=[in_process_tools]).run("shout", {"text": "x"}, timeout_s=0.05)
    respond.set()
    threads[0].join()

    assert (outcome.ok, outcome.content) == (False, "The tool did not respond within 0.05 seconds.")
    assert threads[0].daemon


def test_a_result_that_is_too_long_is_truncated_with_a_note(box):
    in_process_tools = InProcessTool(make_spec(), lambda arguments: "é" * MAX_RESULT_BYTES)
    content = box(in_process_tools=[in_process_tools]).run("shout", {"text": "x"}, timeout_s=3.0).content

    assert len(content.encode()) <= MAX_RESULT_BYTES
    assert content.endswith("is longer.]")


def test_unstorable_characters_are_removed(box):
    in_process_tools = InProcessTool(make_spec(), lambda arguments: "a\0b\ud800c")

    assert box(in_process_tools=[in_process_tools]).run("shout", {"text": "x"}, timeout_s=3.0).content == "ab\ufffdc"


def test_a_users_servers_tools_are_called_with_its_headers(box, add_server):
    add_server("notes", headers={"Authorization": "Bearer secret"})
    calls = FakeMcpCalls()
    outcome = box(mcp_registry=McpRegistry(calls, [], SEAL)).run("notes.echo", {"text": "x"}, timeout_s=3.0)

    assert outcome.content == "echo of notes"
    assert calls.requests[0][0].headers == {"Authorization": "Bearer secret"}


def test_making_a_toolbox_calls_no_server(box, add_server):
    add_server("notes")
    calls = FakeMcpCalls()

    assert names(box(mcp_registry=McpRegistry(calls, [], SEAL))) == ["notes.echo", "shout"]
    assert calls.requests == []


def test_a_servers_tool_needs_approval_until_its_user_lifts_it(box, add_server, set_tool):
    add_server("notes", mcp_tool("read"), mcp_tool("write"))
    set_tool("notes.read", requires_approval=False)
    found = box(mcp_registry=McpRegistry(FakeMcpCalls(), [], SEAL))

    assert (found.get("notes.read").user_requires_approval, found.get("notes.write").user_requires_approval) == (False, True)
    assert found.get("notes.read").spec.egress


def test_a_server_belongs_to_one_user(box, add_server, bob):
    add_server("notes")

    assert names(box(user=bob, mcp_registry=McpRegistry(FakeMcpCalls(), [], SEAL))) == ["shout"]


def test_headers_moved_to_another_row_cannot_be_decrypted(box, add_server, postgres):
    first, second = add_server("notes", headers={"a": "b"}), add_server("other", headers={"c": "d"})
    postgres.execute(
        f"UPDATE mcp_servers SET headers = (SELECT headers FROM mcp_servers WHERE id = '{first}') WHERE id = '{second}'", dbname="parley"
    )
    calls = FakeMcpCalls()

    assert not box(mcp_registry=McpRegistry(calls, [], SEAL)).run("other.echo", {"text": "x"}, timeout_s=3.0).ok
    assert calls.requests == []


def test_the_deployments_servers_are_available_to_every_user(box, engine, bob):
    with user_scope(engine, bob.id) as connection:
        mcp_servers.store_deployment_listing(connection, "team", tools=[mcp_tool()], error=None)
    calls = FakeMcpCalls()
    mcp_registry = McpRegistry(calls, [McpEndpoint("team", "https://team.example.com/mcp", {"X-Key": "k"})], SEAL)

    assert box(mcp_registry=mcp_registry).run("team.echo", {"text": "x"}, timeout_s=3.0).content == "echo of team"
    assert calls.requests[0][0].headers == {"X-Key": "k"}


def test_a_stored_listing_of_a_removed_deployment_server_offers_nothing(box, engine, bob):
    with user_scope(engine, bob.id) as connection:
        mcp_servers.store_deployment_listing(connection, "gone", tools=[mcp_tool()], error=None)

    assert "gone.echo" not in names(box(mcp_registry=McpRegistry(FakeMcpCalls(), [], SEAL)))


def test_only_a_removed_servers_settings_are_deleted(engine, alice, set_tool):
    for name in ("notes.echo", "notes_b.echo", "notesxecho"):
        set_tool(name, is_enabled=False)
    with user_scope(engine, alice.id) as connection:
        tool_settings.remove_server(connection, "notes", user_id=alice.id)
        left = tool_settings.list_all(connection, user_id=alice.id)

    assert sorted(left) == ["notes_b.echo", "notesxecho"]


def test_the_schema_of_an_mcp_tool_is_not_checked_in_this_process(box, add_server, monkeypatch):
    add_server("notes", mcp_tool())
    checked = []
    monkeypatch.setattr("parley.tools.toolbox.argument_errors", lambda *_: checked.append(1) or [])
    outcome = box(mcp_registry=McpRegistry(FakeMcpCalls(), [], SEAL)).run("notes.echo", {"text": 1}, timeout_s=5.0)

    assert (outcome.ok, checked) == (False, [])
    assert outcome.argument_errors[0].path == ("text",)


def test_a_failure_that_the_model_sees_is_counted_and_a_success_is_not(box, capsys):
    toolbox = box(FakeToolRunner())
    toolbox.run("shout", {"text": "hello"}, timeout_s=3.0)
    before = total(read_metrics(capsys.readouterr().out), "ToolErrors")
    toolbox.run("nothing like it", {}, timeout_s=3.0)
    toolbox.run("shout", {"unknown": 1}, timeout_s=3.0)

    assert (before, total(read_metrics(capsys.readouterr().out), "ToolErrors")) == (0, 2)


@pytest.mark.parametrize(("tool", "logged"), [("search_documents", "search_documents"), ("ada_at_home.read", "mcp")])
def test_the_name_that_a_user_gave_a_server_is_not_logged(tool, logged):
    assert log_name(tool) == logged
