"""`parley export` and `parley delete-account`: everything stored about the account, as a file, or deleted."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import click

from cli import prompts
from cli.api import ApiClient
from cli.errors import CliError, not_parley
from cli.http import Connection, HttpCall, origin_of, readable_errors
from cli.json_fields import Fields
from cli.options import with_api
from cli.output import ProgressLine, one_line


def download_file(url: str, file: BinaryIO, *, on_progress: Callable[[int], None]) -> int:
    """Write what is at `url` to `file` and return its bytes; `on_progress` hears how many there are so far."""
    origin, written = origin_of(url), 0
    with closing(Connection(origin)) as connection, connection.answer(HttpCall("GET", url.removeprefix(origin))) as response:
        if response.status_code != 200:
            raise CliError(f"The file could not be fetched from {origin} (it answered {response.status_code}). Try again.")
        with readable_errors(origin):
            for piece in response.iter_bytes():
                written += file.write(piece)
                on_progress(written)
    return written


@contextmanager
def new_private_file(path: Path) -> Iterator[BinaryIO]:
    """Make a file for this user only (mode 600) and give it; what fails on the way leaves none behind."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as exc:
        raise CliError(f"{path} exists already. Another file: -o FILE") from exc
    except OSError as exc:
        raise CliError(f"{path} cannot be written: {exc.strerror}. Another file: -o FILE") from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


EXPORTS_PATH = "/auth/me/exports"


EXPORT_POLL_S = 1.0


EXPORT_TIMEOUT_S = 600.0


@click.command()
@click.option("-o", "--output", metavar="FILE", help="Where to write it; - is standard output.  [default: parley-export-DATE.json]")
@with_api
def export(api: ApiClient, output: str | None) -> None:
    """Save everything that is stored about you as one JSON file."""
    if output == "-":
        _save_export(api, sys.stdout.buffer)
        return
    path = Path(output or f"parley-export-{date.today().isoformat()}.json")
    with new_private_file(path) as file:
        written = _save_export(api, file)
    click.echo(f"{path} holds everything that is stored about you ({written:,} bytes). Only you can read the file.")


def _save_export(api: ApiClient, file: BinaryIO) -> int:
    with ProgressLine() as progress:
        url = _wait_for_url(api, progress)
        return download_file(url, file, on_progress=lambda written: progress.show(f"fetching the file: {written:,} bytes"))


def _wait_for_url(api: ApiClient, progress: ProgressLine) -> str:
    """Ask for an export and return the address of its file when it is written."""
    export_request = Fields.of(api.fetch(HttpCall("POST", EXPORTS_PATH)))
    started = time.monotonic()
    while (waited_s := time.monotonic() - started) < EXPORT_TIMEOUT_S:
        export = Fields.of(api.fetch(HttpCall("GET", f"{EXPORTS_PATH}/{quote(export_request.text('id'), safe='')}")))
        if export.text("status") != "queued":
            return _ready_url(api, export)
        progress.show(f"the server writes the file: {waited_s:.0f} s")
        time.sleep(EXPORT_POLL_S)
    # Who asks again meanwhile gets the same export.
    raise CliError("The server has not written the file yet. Fetch it later by the same command.")


def _ready_url(api: ApiClient, export: Fields) -> str:
    if export.text("status") == "failed":
        raise CliError("The server could not write the file. Try again: parley export")
    if not export.text("url").startswith(("https://", "http://")):
        raise not_parley(api.url, "it gave no address for the file")
    return export.text("url")


@click.command()
@with_api
def delete_account(api: ApiClient) -> None:
    """Delete your account and everything in it, for good. `parley export` saves it first."""
    email = Fields.of(api.fetch(HttpCall("GET", "/auth/me"))).text("email")
    click.echo(f"This deletes {one_line(email)} at {api.url} with all conversations, memories, documents and keys, for good.", err=True)
    click.echo("To keep a copy, stop here (Ctrl-C) and run: parley export", err=True)
    _confirm_address(email)
    api.fetch(HttpCall("DELETE", "/auth/me", {"password": prompts.prompt_password()}))
    api.sessions.forget(api.url)
    click.echo("Your account is closed. Everything in it is deleted within a minute.")


def _confirm_address(email: str) -> None:
    typed = prompts.prompt("Type your e-mail address to go on", hint="Run the command in a terminal: nothing else deletes an account.")
    if typed.strip().lower() != email.lower():
        raise CliError("That is not the address of the account. Nothing was deleted.")
