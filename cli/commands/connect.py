"""`parley connect`: configure another program to use this Parley."""

from collections.abc import Mapping
from pathlib import Path

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.client_configs import KEY_VARIABLE, ClientConfig, client_configs
from cli.commands.api_keys import API_KEYS_PATH
from cli.config_dir import write_private
from cli.errors import CliError, not_parley
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api

CLIENTS = ("claude-code", "codex", "cursor", "open-webui", "continue")
MCP_VERSION = "2025-06-18"


@click.command()
@click.argument("client", type=click.Choice(CLIENTS))
@click.option("--print", "only_print", is_flag=True, help="Print the configuration instead of writing it.")
@terminal_input.password_from_stdin
@with_api
def connect(api: ApiClient, client: str, only_print: bool, password_stdin: bool) -> None:
    """Configure another program to use your tools and models.

    Creates an API key for the program, checks that the key works, and writes the program's configuration. Needs your password, or none
    within ten minutes of a login at an issuer.
    """
    api.require_session()
    config = client_configs()[client]
    before = _current_text(config)
    config.merge(before, api.url, "")  # refuses a file that cannot be changed, before a key is made
    password = terminal_input.current_password(from_stdin=password_stdin)
    key = _create_key(api, client, config, password)
    _check_key(api, config, key)
    text = config.merge(before, api.url, key)
    if config.path is None or only_print:
        click.echo(text, nl=False)
    else:
        write_private(config.path.absolute(), text)
        click.echo(f"{config.title} is configured in {config.path}.", err=True)
    if config.needs_variable:
        click.echo("Set the key where the program starts; it is not shown again:", err=True)
        click.echo(f"export {KEY_VARIABLE}={key}")
    if config.hint:
        click.echo(config.hint.replace("{url}", api.url), err=True)


def _current_text(config: ClientConfig) -> str:
    path: Path | None = config.path
    try:
        return path.read_text(encoding="utf-8") if path and path.exists() else ""
    except (OSError, UnicodeError) as exc:
        raise CliError(f"Cannot read {path}: {exc}") from exc


def _create_key(api: ApiClient, client: str, config: ClientConfig, password: str | None) -> str:
    body = {"name": client, "password": password, "scopes": list(config.scopes)}
    key = Fields.of(api.fetch(HttpCall("POST", API_KEYS_PATH, body))).text("key")
    if not key:
        raise not_parley(api.url, "its answer has no key")
    return key


def _check_key(api: ApiClient, config: ClientConfig, key: str) -> None:
    """Make the calls that the program makes first. Raises `CliError` if one fails."""
    with ApiClient(api.url, api.sessions, key=key) as as_client:
        if "tools" in config.scopes:
            hello = {"protocolVersion": MCP_VERSION, "capabilities": {}, "clientInfo": {"name": "parley-cli", "version": "1"}}
            tools = _mcp(as_client, "initialize", hello) and _mcp(as_client, "tools/list", {})
            click.echo(f"Checked: {len(tools.parts('tools'))} tools are offered.", err=True)
        if "chat" in config.scopes:
            models = Fields.of(as_client.fetch(HttpCall("GET", "/v1/models"))).parts("data")
            click.echo(f"Checked: {len(models)} models are offered.", err=True)


def _mcp(api: ApiClient, method: str, params: Mapping[str, object]) -> Fields:
    answer = Fields.of(api.fetch(HttpCall("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})))
    if not answer.part("result"):
        raise CliError(f"The server did not answer {method}: {answer.part('error').text('message') or 'no result'}")
    return answer.part("result")
