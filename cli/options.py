"""Options shared by commands: the address of the API (`--url`) and expiry times."""

import functools
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Concatenate, override

import click

from cli.api import ApiClient, api_key_from_environment
from cli.http import default_url, normalised_url
from cli.session_store import SessionFile

_SPAN_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Expiry(click.ParamType):
    """A duration from now (`12h`, `90d`, `4w`) or a date, converted to an RFC 3339 time."""

    name = "expiry"

    @override
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the expiry time. A date or time without an offset is in this computer's time zone."""
        try:
            return _expiry_time(value.strip()).isoformat(timespec="seconds")
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a duration like 12h, 90d or 4w nor a date like 2027-01-31.", param, ctx)


class BudgetType(click.ParamType):
    """An amount in US dollars, or the word `absent` for no amount of one's own."""

    name = "budget"

    def __init__(self, absent: str) -> None:
        self.absent = absent

    @override
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Return the amount, or the word `absent`."""
        if value.lower() == self.absent:
            return self.absent
        try:
            return float(value.removeprefix("$"))
        except ValueError:
            self.fail(f"{value!r} is neither an amount in US dollars nor `{self.absent}`.", param, ctx)


def _expiry_time(text: str) -> datetime:
    if span := re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text):
        return datetime.now().astimezone() + int(span[1]) * _SPAN_UNITS[span[2]]
    return datetime.fromisoformat(text).astimezone()


def with_api[**P](command: Callable[Concatenate[ApiClient, P], None]) -> Callable[..., None]:
    """Pass an open `ApiClient` to `command` as its first argument. The address is `--url`, or by default that of the last login."""
    return _with_api(command, find_key=lambda: None)


def with_api_or_key[**P](command: Callable[Concatenate[ApiClient, P], None]) -> Callable[..., None]:
    """Do the same as `with_api`, but use the API key in the environment, if it is set, instead of the session."""
    return _with_api(command, find_key=api_key_from_environment)


def _with_api[**P](command: Callable[Concatenate[ApiClient, P], None], *, find_key: Callable[[], str | None]) -> Callable[..., None]:
    @click.option("--url", envvar="PARLEY_URL", metavar="URL", help="Address of the API.  [default: address of the last login]")
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        sessions = SessionFile()
        given = str(kwargs.pop("url") or "")
        with ApiClient(normalised_url(given or default_url(sessions.read().last_url)), sessions, key=find_key()) as api:
            command(api, *args, **kwargs)

    return run
