"""Times: as the API writes them, as a person reads them, and as a person says how long something lasts."""

import re
from datetime import datetime, timedelta
from typing import override

import click

from cli.terminal import line

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def local_time(moment: str) -> str:
    """Return an RFC 3339 time to the minute on this computer's clock; anything else as it is."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return line(moment)


class Expiry(click.ParamType):
    """An end: so long from now (`12h`, `90d`, `4w`) or a date; it becomes an RFC 3339 time."""

    name = "expiry"

    @override
    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the moment; dates and times without an offset are by this computer's clock."""
        try:
            return _end(value.strip()).isoformat(timespec="seconds")
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a span like 12h, 90d or 4w nor a date like 2027-01-31.", param, ctx)


def _end(text: str) -> datetime:
    if span := re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text):
        return datetime.now().astimezone() + int(span[1]) * _UNITS[span[2]]
    return datetime.fromisoformat(text).astimezone()
