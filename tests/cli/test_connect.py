"""`parley connect`: the configuration of other programs."""

import json
import stat
import tomllib

import pytest
import yaml

from tests.cli import replies

KEY = "parley_secret"


def mcp_reply(handler):
    replies.reply(200, {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18", "tools": [{"name": "clock"}]}})(handler)


@pytest.fixture
def connect(server, alice, parley, monkeypatch, tmp_path):
    """Return a function that connects a program, in an empty home directory that is also the current one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CODEX_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    server.on("POST /auth/api-keys", replies.reply(201, {"id": "k-1", "key": KEY}))
    server.on("POST /mcp", mcp_reply)
    server.on("GET /v1/models", replies.reply(200, {"data": [{"id": "offline"}]}))
    return lambda *args: parley("connect", *args, "--password-stdin", stdin="secret horse\n")


def test_claude_code_gets_the_tools_and_no_key_in_its_file(connect, server, tmp_path):
    result = connect("claude-code")

    assert json.loads((tmp_path / ".mcp.json").read_text()) == {
        "mcpServers": {"parley": {"type": "http", "url": f"{server.url}/mcp", "headers": {"Authorization": "Bearer ${PARLEY_CLIENT_KEY}"}}}
    }
    assert result.stdout == f"export PARLEY_CLIENT_KEY={KEY}\n"


def test_claude_code_is_told_how_to_use_the_models_and_not_made_to(connect, server):
    told = connect("claude-code").stderr

    assert f"export ANTHROPIC_BASE_URL={server.url}\n" in told
    assert "export ANTHROPIC_AUTH_TOKEN=$PARLEY_CLIENT_KEY\n" in told


def test_the_key_is_made_with_the_scopes_that_the_program_needs_and_tried(connect, server):
    connect("claude-code")

    assert server.requests[0].body == {"name": "claude-code", "password": "secret horse", "scopes": ["chat", "tools"]}
    assert [(request.line, request.token) for request in server.requests[1:]] == [*[("POST /mcp", KEY)] * 2, ("GET /v1/models", KEY)]


def test_other_servers_in_a_json_file_are_kept(connect, server, tmp_path):
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor/mcp.json").write_text('{"mcpServers": {"other": {"url": "x"}}, "theme": 1}')

    connect("cursor")
    config = json.loads((tmp_path / ".cursor/mcp.json").read_text())

    assert config["theme"] == 1
    assert config["mcpServers"]["other"] == {"url": "x"}
    assert config["mcpServers"]["parley"] == {"url": f"{server.url}/mcp", "headers": {"Authorization": f"Bearer {KEY}"}}
    assert stat.S_IMODE((tmp_path / ".cursor/mcp.json").stat().st_mode) == 0o600


def test_a_toml_file_keeps_its_comments(connect, server, tmp_path):
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/config.toml").write_text('# mine\nmodel = "gpt"\n')

    connect("codex")
    text = (tmp_path / ".codex/config.toml").read_text()

    assert text.startswith('# mine\nmodel = "gpt"\n')
    assert tomllib.loads(text)["mcp_servers"]["parley"] == {"url": f"{server.url}/mcp", "bearer_token_env_var": "PARLEY_CLIENT_KEY"}


def test_codex_gets_the_models_by_the_responses_api(connect, server, tmp_path):
    result = connect("codex")
    provider = tomllib.loads((tmp_path / ".codex/config.toml").read_text())["model_providers"]["parley"]

    assert (provider["base_url"], provider["env_key"]) == (f"{server.url}/v1", "PARLEY_CLIENT_KEY")
    assert provider["wire_api"] == "responses"
    assert "codex -c model_provider=parley -m MODEL" in result.stderr


def test_continue_gets_models_and_tools(connect, server, tmp_path):
    connect("continue")
    config = yaml.safe_load((tmp_path / ".continue/config.yaml").read_text())

    assert config["models"][0] | {"apiBase": f"{server.url}/v1", "apiKey": KEY} == config["models"][0]
    assert config["mcpServers"][0]["url"] == f"{server.url}/mcp"


def test_open_webui_gets_environment_variables(connect, server):
    assert connect("open-webui").stdout == f"OPENAI_API_BASE_URL={server.url}/v1\nOPENAI_API_KEY={KEY}\n"


def test_print_writes_no_file(connect, tmp_path):
    assert "mcpServers" in connect("claude-code", "--print").stdout
    assert not (tmp_path / ".mcp.json").exists()


@pytest.mark.parametrize(
    ("client", "path", "text"), [("claude-code", ".mcp.json", "{"), ("continue", ".continue/config.yaml", "name: mine\n")]
)
def test_a_file_that_cannot_be_changed_is_kept_and_no_key_is_made(connect, server, tmp_path, client, path, text):
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(text)

    assert connect(client).exit_code == 1
    assert (tmp_path / path).read_text() == text
    assert server.requests == []


def test_a_key_that_does_not_work_writes_nothing(connect, server, tmp_path):
    server.on("POST /mcp", replies.reply(200, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "Out of order."}}))

    result = connect("claude-code")

    assert "Out of order." in result.stderr
    assert not (tmp_path / ".mcp.json").exists()
