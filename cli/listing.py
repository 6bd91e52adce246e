"""The API's lists: read them page by page, print them as a table or JSON, and find an item by a short id."""

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

# A search for an item stops here. Documents and conversations beyond it can still be given by their full ids.
MAX_ITEMS = 2000
MAX_LIMIT = 100

json_option = click.option("--json", "as_json", is_flag=True, help="Print the items as the API returns them, as a JSON array.")
limit_option = click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many items to show.")


def short_id(identifier: str) -> str:
    """Return the last eight characters of an id, as lists show them."""
    # The end of a UUIDv7 is random; its start is a clock and equal for all ids of one minute.
    return one_line(identifier)[-8:]


def full_id(given: str) -> str | None:
    """Return `given` in the API's spelling if it is a full id, else None."""
    try:
        return str(UUID(given.strip()))
    except ValueError:
        return None


def find_by_id(items: Iterable[Fields], given: str, *, noun: str, listed_by: str) -> Fields:
    """Return the one item whose id is `given`, or starts or ends with it.

    `given` needs at least four characters. Raises `CliError` if no item or several items match;
    `items` is not read if `given` cannot be part of an id.
    """
    part = given.strip().lower()
    found = [item for item in items if _matches(item.text("id"), part)] if re.fullmatch(r"[0-9a-f-]{4,36}", part) else []
    if len(found) != 1:
        problem = f"More than one {noun} matches {one_line(given)!r}" if found else f"There is no {noun} {one_line(given)!r}"
        raise CliError(f"{problem}. To list them: {listed_by}")
    return found[0]


def find_by_name(items: Sequence[Fields], given: str, *, noun: str, listed_by: str) -> Fields:
    """Return the one item with this name, in whatever case, or else do the same as `find_by_id`."""
    named = [item for item in items if item.text("name").casefold() == given.strip().casefold()]
    return named[0] if len(named) == 1 else find_by_id(items, given, noun=noun, listed_by=listed_by)


def name_and_id(item: Fields) -> str:
    """Return the quoted name and the short id."""
    return f"{one_line(item.text('name'))!r} ({short_id(item.text('id'))})"


def _matches(identifier: str, part: str) -> bool:
    return identifier.startswith(part) or identifier.endswith(part)


@dataclass(frozen=True)
class Table:
    """How to print items: the heading, the cells of an item, and the message for an empty list."""

    heading: tuple[str, ...]
    row: Callable[[Fields], tuple[str, ...]]
    empty_message: str

    def show(self, items: Sequence[Fields], *, as_json: bool) -> None:
        """Print the items as a table, or as a JSON array."""
        if as_json:
            click.echo(json_text(items))
        else:
            click.echo(aligned_table([self.heading, *map(self.row, items)]) if items else self.empty_message)


class ListGroup(click.Group):
    """A command group whose default command is `list`: `parley sessions` runs `parley sessions list`."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `list` if no command is given. `--help` still shows the group's help."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def all_items(api: ApiClient, path: str, query: Mapping[str, str | int] | None = None, *, most: int | None = MAX_ITEMS) -> Iterator[Fields]:
    """Yield the items of a list, about `most` of them, or all if it is None. Each page is fetched when its first item is needed."""
    count = 0
    for page in _pages(api, path, limit=MAX_LIMIT, query=query):
        yield from page.parts("items")
        count += len(page.parts("items"))
        if most is not None and count >= most:
            return


def first_items(api: ApiClient, path: str, *, limit: int, query: Mapping[str, str | int] | None = None) -> list[Fields]:
    """Return the first `limit` items of a list, 100 at most. Prints a note if the list has more."""
    items: list[Fields] = []
    for page in _pages(api, path, limit=limit, query=query):
        items += page.parts("items")
        if len(items) >= limit:
            if page.text("next_cursor") or len(items) > limit:
                print_note("There are more." if limit >= MAX_LIMIT else f"There are more: --limit {MAX_LIMIT} shows up to {MAX_LIMIT}.")
            break
    return items[:limit]


def _pages(api: ApiClient, path: str, *, limit: int, query: Mapping[str, str | int] | None) -> Iterator[Fields]:
    """Yield the pages of a list. A page of long items can have fewer than `limit` items even if more pages follow."""
    parameters = {"limit": limit, **(query or {})}
    while True:
        page = Fields.of(api.fetch(HttpCall("GET", path, query=parameters)))
        yield page
        if not page.text("next_cursor"):
            return
        parameters["cursor"] = page.text("next_cursor")
