"""`parley export`: everything stored about you, as a file."""

import sys
import time
from datetime import date
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import click

from cli import download
from cli.api import Api
from cli.connection import Call
from cli.errors import CliError
from cli.fields import Fields
from cli.options import with_api
from cli.problem import stranger
from cli.progress import Progress

PATH = "/auth/me/exports"
POLL_S = 1.0
PATIENCE_S = 600.0


@click.command()
@click.option("-o", "--output", metavar="FILE", help="Where to write it; - is standard output.  [default: parley-export-DATE.json]")
@with_api
def export(api: Api, output: str | None) -> None:
    """Save everything that is stored about you as one JSON file."""
    if output == "-":
        _save(api, sys.stdout.buffer)
        return
    path = Path(output or f"parley-export-{date.today().isoformat()}.json")
    with download.new_file(path) as file:
        written = _save(api, file)
    click.echo(f"{path} holds everything that is stored about you ({written:,} bytes). Only you can read the file.")


def _save(api: Api, file: BinaryIO) -> int:
    with Progress() as progress:
        url = _url(api, progress)
        return download.fetch(url, file, tell=lambda written: progress.show(f"fetching the file: {written:,} bytes"))


def _url(api: Api, progress: Progress) -> str:
    """Ask for an export and return the address of its file when it is written."""
    asked = Fields.of(api.fetch(Call("POST", PATH)))
    started = time.monotonic()
    while (waited_s := time.monotonic() - started) < PATIENCE_S:
        export = Fields.of(api.fetch(Call("GET", f"{PATH}/{quote(asked.text('id'), safe='')}")))
        if export.text("status") != "queued":
            return _ready(api, export)
        progress.show(f"the server writes the file: {waited_s:.0f} s")
        time.sleep(POLL_S)
    # Who asks again meanwhile gets the same export.
    raise CliError("The server has not written the file yet. Fetch it later by the same command.")


def _ready(api: Api, export: Fields) -> str:
    if export.text("status") == "failed":
        raise CliError("The server could not write the file. Try again: parley export")
    if not export.text("url").startswith(("https://", "http://")):
        raise stranger(api.url, "it gave no address for the file")
    return export.text("url")
