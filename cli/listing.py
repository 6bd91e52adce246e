"""Lists of the API: read page by page, printed as a table or as JSON; and items found by a short id."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import override
from uuid import UUID

import click

from cli.api import ApiClient
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.output import aligned_table, json_text, one_line, print_note


def short_id(identifier: str) -> str:
    """Return the part of an id that lists show."""
    # The end of a UUIDv7 is random; its start is a clock, the same for all that begin within a minute.
    return one_line(identifier)[-8:]


def full_id(given: str) -> str | None:
    """Return `given` as the API writes ids if it is a whole one, else None."""
    try:
        return str(UUID(given.strip()))
    except ValueError:
        return None


def find_by_id(items: Iterable[Fields], given: str, *, noun: str, listed_by: str) -> Fields:
    """Return the one item whose id is `given`, or starts or ends with it (at least four characters).

    Raises `CliError` for none and for several; `items` is not read for what can be no id.
    """
    part = given.strip().lower()
    found = [item for item in items if _matches(item.text("id"), part)] if re.fullmatch(r"[0-9a-f-]{4,36}", part) else []
    if len(found) != 1:
        problem = f"More than one {noun} is {one_line(given)!r}" if found else f"There is no {noun} {one_line(given)!r}"
        raise CliError(f"{problem}. They are listed by: {listed_by}")
    return found[0]


def _matches(identifier: str, part: str) -> bool:
    return identifier.startswith(part) or identifier.endswith(part)


# Enough to search for a short id: whoever has more can give the whole one.
MAX_PAGES = 20


json_option = click.option("--json", "as_json", is_flag=True, help="Print the items as the API gives them, as a JSON array.")


limit_option = click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many to show.")


@dataclass(frozen=True)
class Table:
    """How items are shown: the heading, the cells of one, and what is said where there are none."""

    heading: tuple[str, ...]
    row: Callable[[Fields], tuple[str, ...]]
    none_yet: str

    def show(self, items: Sequence[Fields], *, as_json: bool) -> None:
        """Print the items; as JSON no items are an empty array."""
        if as_json:
            click.echo(json_text(items))
        else:
            click.echo(aligned_table([self.heading, *map(self.row, items)]) if items else self.none_yet)


class ListGroup(click.Group):
    """A group whose name alone lists: `parley sessions` is `parley sessions list`."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` where no command is named; --help stays the group's own."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def all_items(api: ApiClient, path: str, query: Mapping[str, str | int] | None = None) -> Iterator[Fields]:
    """Yield a list's items, page after page as they are wanted, up to 20 pages of 100."""
    parameters = {"limit": 100, **(query or {})}
    for _ in range(MAX_PAGES):
        page = Fields.of(api.fetch(HttpCall("GET", path, query=parameters)))
        yield from page.parts("items")
        if not page.text("next_cursor"):
            return
        parameters["cursor"] = page.text("next_cursor")


def first_items(api: ApiClient, path: str, *, limit: int, query: Mapping[str, str | int] | None = None) -> list[Fields]:
    """Return the first `limit` items of a list, up to 100, and note when there are more."""
    page = Fields.of(api.fetch(HttpCall("GET", path, query={"limit": limit, **(query or {})})))
    if page.text("next_cursor"):
        print_note("There are more." if limit >= 100 else "There are more: --limit 100 shows up to a hundred.")
    return page.parts("items")
