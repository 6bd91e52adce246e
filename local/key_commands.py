"""`parley keys`: the signing keys of the running stack."""

import json
import sys

import click

from local.settings import DEFAULT_PORT

_FUNCTION = "KeysFunction"


@click.group()
def keys() -> None:
    """Look after the keys that tokens are signed with."""


@keys.command()
@click.option("--now", "is_emergency", is_flag=True, help="End every access token within a minute: a key may have leaked.")
@click.option("--api-keys", "takes_api_keys", is_flag=True, help="With --now: end every API key too.")
@click.option(
    "--port", envvar="PARLEY_PORT", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="The stack's local port."
)
def rotate(is_emergency: bool, takes_api_keys: bool, port: int) -> None:
    """Make new keys; old ones go when nothing valid is signed by them."""
    from local.client import FunctionFailed, Refused, invoke_function

    if takes_api_keys and not is_emergency:
        raise click.UsageError("--api-keys goes with --now only: those who hold API keys have no other way to get in")
    event = {"emergency": is_emergency, "api_keys": takes_api_keys}
    try:
        done = invoke_function(port, _FUNCTION, json.dumps(event))
    except FunctionFailed as error:
        click.echo(json.dumps(error.detail, indent=2, ensure_ascii=False), err=True)
        sys.exit(1)
    except Refused as error:
        raise click.ClickException(str(error)) from error
    for word in ("made", "removed"):
        click.echo(f"{word:8} {', '.join(done[word]) or 'none'}")
