"""`parley export` and `parley delete-account`: save or delete all data of the account."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.errors import CliError, not_parley
from cli.http import Connection, HttpCall, origin_of, readable_errors
from cli.json_fields import Fields
from cli.options import with_api
from cli.output import advance, one_line, print_note, progress_bar

EXPORTS_PATH = "/auth/me/exports"
EXPORT_POLL_S = 1.0
EXPORT_TIMEOUT_S = 600.0


def download_file(url: str, file: BinaryIO) -> int:
    """Download `url` to `file` behind a progress bar, and return the number of bytes."""
    origin = origin_of(url)
    with closing(Connection(origin)) as connection, connection.send(HttpCall("GET", url.removeprefix(origin))) as response:
        if response.status_code != 200:
            raise CliError(f"The file could not be downloaded from {origin} (status {response.status_code}). Try again.")
        length = Fields({"bytes": response.headers.get("content-length")}).number("bytes")
        written = 0
        with readable_errors(origin), progress_bar("downloading", length=int(length) if length else None) as bar:
            for content in response.iter_bytes():
                written += file.write(content)
                advance(bar, written)
    return written


@contextmanager
def new_private_file(path: Path) -> Iterator[BinaryIO]:
    """Create a file of mode 600 and open it for writing. A failure in the block removes the file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as exc:
        raise CliError(f"{path} already exists. To write another file: -o FILE") from exc
    except OSError as exc:
        raise CliError(f"Cannot write {path}: {exc.strerror}. To write another file: -o FILE") from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@click.command()
@click.option("-o", "--output", metavar="FILE", help="File to write; - is standard output.  [default: parley-export-DATE.json]")
@with_api
def export(api: ApiClient, output: str | None) -> None:
    """Save all data stored about you as one JSON file."""
    if output == "-":
        save_export(api, sys.stdout.buffer)
        return
    path = Path(output or f"parley-export-{date.today().isoformat()}.json")
    with new_private_file(path) as file:
        written = save_export(api, file)
    click.echo(f"Saved all data stored about you to {path} ({written:,} bytes). Only you can read the file.")


def save_export(api: ApiClient, file: BinaryIO, *, path: str = EXPORTS_PATH) -> int:
    """Request an export by POST to `path`, download it to `file` once it is written, and return the number of bytes."""
    return download_file(_wait_for_url(api, path), file)


def _wait_for_url(api: ApiClient, path: str) -> str:
    """Request an export, wait until the server has written its file, and return the file's address."""
    export_id = Fields.of(api.fetch(HttpCall("POST", path))).text("id")
    print_note("The server is writing the file.")
    started_s = time.monotonic()
    while time.monotonic() - started_s < EXPORT_TIMEOUT_S:
        export = Fields.of(api.fetch(HttpCall("GET", f"{EXPORTS_PATH}/{quote(export_id, safe='')}")))
        if export.text("status") != "queued":
            return _ready_url(api, export)
        time.sleep(EXPORT_POLL_S)
    # While the export is queued, a repeated request returns the same export.
    raise CliError("The server has not written the file yet. Run the same command again later.")


def _ready_url(api: ApiClient, export: Fields) -> str:
    if export.text("status") == "failed":
        raise CliError("The server could not write the file. Run the same command again.")
    if not export.text("url").startswith(("https://", "http://")):
        raise not_parley(api.url, "its answer has no file address")
    return export.text("url")


@click.command()
@with_api
def delete_account(api: ApiClient) -> None:
    """Delete your account and all its data permanently. To save the data first: parley export

    Needs your password, or none within ten minutes of a login at an issuer.
    """
    email = Fields.of(api.fetch(HttpCall("GET", "/auth/me"))).text("email")
    click.echo(f"This permanently deletes {one_line(email)} at {api.url} with all conversations, memories, documents and keys.", err=True)
    click.echo("To keep a copy, press Ctrl-C and run: parley export", err=True)
    _confirm_address(email)
    api.fetch(HttpCall("DELETE", "/auth/me", {"password": terminal_input.current_password()}))
    api.sessions.forget(api.url)
    click.echo("Your account is closed. Its data is deleted within a minute.")


def _confirm_address(email: str) -> None:
    typed = terminal_input.prompt(
        "Type your e-mail address to continue", hint="Run the command in a terminal: scripts cannot delete an account."
    )
    if typed.strip().lower() != email.lower():
        raise CliError("That is not the account's address. Nothing was deleted.")
