"""Short ids: what lists show of an id, and finding the one that is meant."""

import re
from collections.abc import Iterable
from uuid import UUID

from cli.errors import CliError
from cli.fields import Fields
from cli.terminal import line


def short(identifier: str) -> str:
    """Return the part of an id that lists show."""
    # The end of a UUIDv7 is random; its start is a clock, the same for all that begin within a minute.
    return line(identifier)[-8:]


def whole(given: str) -> str | None:
    """Return `given` as the API writes ids if it is a whole one, else None."""
    try:
        return str(UUID(given.strip()))
    except ValueError:
        return None


def pick(items: Iterable[Fields], given: str, *, noun: str, listed_by: str) -> Fields:
    """Return the one item whose id is `given`, or starts or ends with it (at least four characters).

    Raises `CliError` for none and for several; `items` is not read for what can be no id.
    """
    part = given.strip().lower()
    found = [item for item in items if _fits(item.text("id"), part)] if re.fullmatch(r"[0-9a-f-]{4,36}", part) else []
    if len(found) != 1:
        problem = f"More than one {noun} is {line(given)!r}" if found else f"There is no {noun} {line(given)!r}"
        raise CliError(f"{problem}. They are listed by: {listed_by}")
    return found[0]


def _fits(identifier: str, part: str) -> bool:
    return identifier.startswith(part) or identifier.endswith(part)
