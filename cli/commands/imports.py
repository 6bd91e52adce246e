"""`parley import`: upload an export of another program, and follow the import of its conversations."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import click

from cli.api import ApiClient
from cli.document_api import post_form
from cli.errors import CliError, not_parley
from cli.http import FileForm, HttpCall, ProgressFile
from cli.json_fields import Fields
from cli.options import with_api_or_key
from cli.output import advance, one_line, print_note, progress_bar, shortened

IMPORTS_PATH = "/conversations/imports"
POLL_S = 0.5
# If the function is killed, another attempt begins within eight minutes.
PROGRESS_TIMEOUT_S = 900.0
UNFINISHED_STATUSES = ("queued", "processing")
_PATH_TYPE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("import")
@click.argument("path", metavar="FILE", type=_PATH_TYPE)
@click.option("--facts", is_flag=True, help="Let a model read the conversations for facts about you, which costs money with most models.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the conversations are imported.")
@with_api_or_key
def import_file(api: ApiClient, path: Path, facts: bool, no_wait: bool) -> None:
    """Import the conversations of FILE, an export of ChatGPT, Claude, LibreChat, Open WebUI or Parley.

    FILE is a ZIP or JSON file as the program wrote it. Importing it again adds nothing, and a newer export adds only what is new. The
    import continues if you press Ctrl-C.
    """
    import_id = _send(api, path, facts=facts)
    if no_wait:
        print_note("The server imports the file. To see the result, import it again.")
        return
    try:
        _report(_wait(api, import_id))
    except KeyboardInterrupt:
        click.echo("The import continues on the server.", err=True)
        raise


def _send(api: ApiClient, path: Path, *, facts: bool) -> str:
    """Announce and upload the file, and return the import's id."""
    try:
        size = path.stat().st_size
        with (
            progress_bar(f"{shortened(path.name, characters=40)}: sending", length=max(size, 1)) as bar,
            ProgressFile(path, on_sent=lambda sent: advance(bar, sent)) as file,
        ):
            body = {"filename": path.name, "bytes": os.fstat(file.fileno()).st_size, "read_facts": facts}
            announced = Fields.of(api.fetch(HttpCall("POST", IMPORTS_PATH, body)))
            if not announced.text("id"):
                raise not_parley(api.url, "its answer has no import id")
            post_form(api, announced, FileForm({}, file, path.name, "application/octet-stream"))
    except OSError as exc:
        raise CliError(f"Cannot read {path}: {exc.strerror}.") from exc
    return announced.text("id")


def _wait(api: ApiClient, import_id: str) -> Fields:
    """Show the import's progress and return its final state."""
    with progress_bar("importing", length=100) as bar:
        for state in _states(api, import_id):
            percent = round(100 * (state.number("progress") or 0.0))
            advance(bar, percent)
            if bar.is_hidden:
                click.echo(f"importing {percent}%", err=True)
    return state


def _states(api: ApiClient, import_id: str) -> Iterator[Fields]:
    """Yield the import now and after every change, until it has ended. Raises `CliError` if it stops changing."""
    call = HttpCall("GET", f"{IMPORTS_PATH}/{quote(import_id, safe='')}")
    state = Fields.of(api.fetch(call))
    yield state
    changed_s = time.monotonic()
    while state.text("status") in UNFINISHED_STATUSES:
        time.sleep(POLL_S)
        current = Fields.of(api.fetch(call))
        if current != state:
            state, changed_s = current, time.monotonic()
            yield state
        elif time.monotonic() - changed_s >= PROGRESS_TIMEOUT_S:
            raise CliError("The import is still queued on the server. Import the file again later: nothing is imported twice.")


def _report(state: Fields) -> None:
    """Print what was imported and what was left out. Raises `CliError` if the import failed."""
    added, extended, unchanged = (round(state.number(f"conversations_{kind}") or 0) for kind in ("added", "extended", "unchanged"))
    messages = state.number("messages_added") or 0
    click.echo(f"{added:,} conversations added, {extended:,} extended, {unchanged:,} unchanged: {messages:,.0f} messages.")
    for entry in map(Fields, state.parts("left_out")):
        given = entry.get("titles")
        titles = ", ".join(repr(shortened(str(title), characters=40)) for title in given) if isinstance(given, list) else ""
        click.echo(f"left out: {one_line(entry.text('reason'))} ({entry.number('count') or 0:,.0f}){f': {titles}' if titles else ''}")
    if state.text("status") == "failed":
        raise CliError(one_line(state.text("error")) or "The import failed.")
