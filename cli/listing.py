"""Lists of the API: read page by page, printed as a table or as JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import override

import click

from cli.api import Api
from cli.connection import Call
from cli.fields import Fields
from cli.terminal import json_text, note, table

# Enough to search for a short id: whoever has more can give the whole one.
PAGES = 20

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
            click.echo(table([self.heading, *map(self.row, items)]) if items else self.none_yet)


class ListGroup(click.Group):
    """A group whose name alone lists: `parley sessions` is `parley sessions list`."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` where no command is named; --help stays the group's own."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def pages(api: Api, path: str, query: Mapping[str, str | int] | None = None) -> Iterator[Fields]:
    """Yield a list's items, page after page as they are wanted, up to 20 pages of 100."""
    asked = {"limit": 100, **(query or {})}
    for _ in range(PAGES):
        page = Fields.of(api.fetch(Call("GET", path, query=asked)))
        yield from page.parts("items")
        if not page.text("next_cursor"):
            return
        asked["cursor"] = page.text("next_cursor")


def newest(api: Api, path: str, *, limit: int, query: Mapping[str, str | int] | None = None) -> list[Fields]:
    """Return the first `limit` items of a list, up to 100, and note when there are more."""
    page = Fields.of(api.fetch(Call("GET", path, query={"limit": limit, **(query or {})})))
    if page.text("next_cursor"):
        note("There are more." if limit >= 100 else "There are more: --limit 100 shows up to a hundred.")
    return page.parts("items")
