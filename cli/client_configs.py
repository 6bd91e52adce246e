"""The configuration that other programs need to use Parley: its tools by MCP, and its models by OpenAI's or Anthropic's API."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CliError
from cli.json_fields import Fields

# The configuration names this variable, so that no file holds the key where the program can read it from the environment.
KEY_VARIABLE = "PARLEY_CLIENT_KEY"
# Claude Code sends ANTHROPIC_AUTH_TOKEN as a bearer token, and its smaller requests to the model of the last variable.
_CLAUDE_CODE_HINT = f"""\
To use your models, too, set there (MODEL is a name of `parley models list`):
export ANTHROPIC_BASE_URL={{url}}
export ANTHROPIC_AUTH_TOKEN=${KEY_VARIABLE}
export ANTHROPIC_MODEL=MODEL
export ANTHROPIC_DEFAULT_HAIKU_MODEL=MODEL"""
_CODEX_HINT = "Use a model of `parley models list`: codex -c model_provider=parley -m MODEL"


@dataclass(frozen=True)
class ClientConfig:
    """How one program is configured.

    `path` is its file, or None if it has only environment variables. `merge` takes the file's current text, the API's address
    and the key, and returns the new text. `needs_variable` is whether the program reads the key from KEY_VARIABLE. `hint` tells the
    user how to choose one of the models, if the program does not offer them; `{url}` in it stands for the API's address.
    """

    title: str
    scopes: tuple[str, ...]
    path: Path | None
    merge: Callable[[str, str, str], str]
    needs_variable: bool = False
    hint: str = ""


def client_configs() -> Mapping[str, ClientConfig]:
    """Return the configurations by the name of their program."""
    home = Path.home()
    codex = Path(os.environ.get("CODEX_HOME") or home / ".codex") / "config.toml"
    return {
        "claude-code": ClientConfig(
            "Claude Code", ("chat", "tools"), Path(".mcp.json"), _claude_code, needs_variable=True, hint=_CLAUDE_CODE_HINT
        ),
        "codex": ClientConfig("Codex", ("chat", "tools"), codex, _codex, needs_variable=True, hint=_CODEX_HINT),
        "cursor": ClientConfig("Cursor", ("tools",), home / ".cursor/mcp.json", _cursor),
        "open-webui": ClientConfig("Open WebUI", ("chat",), None, _open_webui),
        "continue": ClientConfig("Continue", ("chat", "tools"), home / ".continue/config.yaml", _continue),
    }


def _claude_code(before: str, url: str, _key: str) -> str:
    server = {"type": "http", "url": f"{url}/mcp", "headers": {"Authorization": f"Bearer ${{{KEY_VARIABLE}}}"}}
    return _with_mcp_server(before, server)


def _cursor(before: str, url: str, key: str) -> str:
    return _with_mcp_server(before, {"url": f"{url}/mcp", "headers": {"Authorization": f"Bearer {key}"}})


def _with_mcp_server(before: str, server: Mapping[str, object]) -> str:
    """Add the server `parley` to a JSON file's `mcpServers`. Raises `CliError` if the file is not a JSON object."""
    try:
        config = json.loads(before or "{}")
    except ValueError as exc:
        raise CliError(f"The file is not valid JSON ({exc}). Mend or remove it first.") from exc
    if not isinstance(config, dict):
        raise CliError("The file is not a JSON object. Mend or remove it first.")
    config["mcpServers"] = Fields.of(config.get("mcpServers")) | {"parley": server}
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def _codex(before: str, url: str, _key: str) -> str:
    """Append the server and the provider to a TOML file, which keeps its comments. Raises `CliError` if it has one of them already."""
    for table in ("[mcp_servers.parley]", "[model_providers.parley]"):
        if table in before:
            raise CliError(f"The file has a table {table} already. Remove it first.")
    tables = f"""\
[mcp_servers.parley]
url = "{url}/mcp"
bearer_token_env_var = "{KEY_VARIABLE}"

[model_providers.parley]
name = "Parley"
base_url = "{url}/v1"
env_key = "{KEY_VARIABLE}"
wire_api = "responses"
"""
    return f"{before.rstrip()}\n\n{tables}" if before.strip() else tables


def _continue(before: str, url: str, key: str) -> str:
    """Return a new YAML file. Raises `CliError` with the lines to add if there is one, so that its comments are kept."""
    lines = f"""\
name: Parley
version: 1.0.0
schema: v1
models:
  - name: Parley
    provider: openai
    model: AUTODETECT
    apiBase: {url}/v1
    apiKey: {key}
mcpServers:
  - name: parley
    type: streamable-http
    url: {url}/mcp
    requestOptions:
      headers:
        Authorization: Bearer {key}
"""
    if before.strip():
        raise CliError(f"The file exists. Add these lines to it:\n\n{lines}")
    return lines


def _open_webui(_before: str, url: str, key: str) -> str:
    return f"OPENAI_API_BASE_URL={url}/v1\nOPENAI_API_KEY={key}\n"
