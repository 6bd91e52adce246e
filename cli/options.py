"""What every command that talks to the API has in common: `--url` and an open `Api`."""

import functools
from collections.abc import Callable
from typing import Concatenate

import click

from cli.address import default_address, normalised
from cli.api import Api
from cli.sessions import SessionFile


def with_api[**P](command: Callable[Concatenate[Api, P], None]) -> Callable[..., None]:
    """Give `command` an open API as its first argument, at the address that `--url` or the last login names."""

    @click.option("--url", envvar="PARLEY_URL", metavar="URL", help="Address of the API.  [default: that of the last login]")
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        sessions = SessionFile()
        given = str(kwargs.pop("url") or "")
        with Api(normalised(given or default_address(sessions.read().last_url)), sessions) as api:
            command(api, *args, **kwargs)

    return run
