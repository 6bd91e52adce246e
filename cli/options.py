"""What every command that talks to the API has in common: `--url` and an open `Api`."""

import functools
from collections.abc import Callable
from typing import Concatenate

import click

from cli.address import default_address, normalised
from cli.api import Api
from cli.api_key import key_of_environment
from cli.sessions import SessionFile


def with_api[**P](command: Callable[Concatenate[Api, P], None]) -> Callable[..., None]:
    """Give `command` an open API as its first argument, at the address that `--url` or the last login names."""
    return _with_api(command, find_key=lambda: None)


def with_api_or_key[**P](command: Callable[Concatenate[Api, P], None]) -> Callable[..., None]:
    """Do the same for a command that an API key may use: one in the environment goes before the session."""
    return _with_api(command, find_key=key_of_environment)


def _with_api[**P](command: Callable[Concatenate[Api, P], None], *, find_key: Callable[[], str | None]) -> Callable[..., None]:
    @click.option("--url", envvar="PARLEY_URL", metavar="URL", help="Address of the API.  [default: that of the last login]")
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        sessions = SessionFile()
        given = str(kwargs.pop("url") or "")
        with Api(normalised(given or default_address(sessions.read().last_url)), sessions, key=find_key()) as api:
            command(api, *args, **kwargs)

    return run
