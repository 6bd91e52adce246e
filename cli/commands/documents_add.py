"""`parley documents add`: upload files and follow their ingestion."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.api import ApiClient
from cli.document_api import chunk_count, document_path, fetch_document, set_shared, title_and_id, upload_document
from cli.document_files import document_files
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api_or_key
from cli.output import advance, one_line, progress_bar, shortened

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

POLL_S = 0.5
# If the function is killed, the server retries the document within seven minutes.
INGESTION_TIMEOUT_S = 900.0
UNFINISHED_STATUSES = ("queued", "processing")
_PATH_TYPE = click.Path(exists=True, allow_dash=True, path_type=Path)


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=_PATH_TYPE)
@click.option("--glob", "globs", metavar="PATTERN", multiple=True, help="Add only such files of a folder, as '*.md'; can be repeated.")
@click.option("--title", metavar="TITLE", help="Title of the document.  [default: the file's name]")
@click.option("--no-wait", is_flag=True, help="Do not wait until the files are processed.")
@click.option("--share", is_flag=True, help="Share the documents with all users; admins only.")
@with_api_or_key
def add(api: ApiClient, paths: tuple[Path, ...], globs: tuple[str, ...], title: str | None, no_wait: bool, share: bool) -> None:
    """Add files, and wait until the server has processed them.

    PATH is a file, a folder with all the files in it, or `-` for standard input. Supported formats are text, Markdown, HTML, PDF, DOCX,
    CSV, JSON and source code. Processing continues if you press Ctrl-C.
    """
    with document_files(paths, globs=globs) as found:
        if title and len(found.files) > 1:
            raise click.UsageError("--title needs exactly one file.")
        uploads = DocumentUploads(api, files=len(found.files))
        documents = [uploads.send(path, title=title, share=share) for path in found.files]
    if not no_wait:
        uploads.follow([document for document in documents if document])
    for path, reason in found.skipped:
        click.echo(one_line(f"skipped {path}: {reason}"), err=True)
    uploads.raise_for_failures()


class DocumentUploads:
    """Uploads files one by one. A failed file does not prevent the next ones."""

    def __init__(self, api: ApiClient, *, files: int) -> None:
        self._api = api
        self._files = files
        self._failed = 0

    def send(self, path: Path, *, title: str | None, share: bool) -> Fields | None:
        """Upload a file. Return its document if the server still has to process it, else None."""
        with self._failures_shown(path.name):
            document = self._upload(path, title=title)
            if share:
                document = set_shared(self._api, document, shared=True)
            outcome = "added" if document.text("status") == "queued" else "already exists"
            _print_line(f"{shortened(path.name, characters=40)}: {outcome} as {title_and_id(document)}")
            return document if document.text("status") in UNFINISHED_STATUSES else None
        return None

    def follow(self, documents: list[Fields]) -> None:
        """Wait until each document is processed. Ctrl-C ends the waiting, not the processing."""
        try:
            for document in documents:
                with self._failures_shown(document.text("filename")):
                    self._report(self._wait_until_processed(document))
        except KeyboardInterrupt:
            click.echo("Processing continues on the server. To see its progress: parley documents", err=True)
            raise

    def raise_for_failures(self) -> None:
        """Raise `CliError` if any file failed."""
        if self._failed:
            raise CliError(f"{self._failed} of {self._files} files were not added.")

    def _upload(self, path: Path, *, title: str | None) -> Fields:
        label = f"{shortened(path.name, characters=40)}: sending"
        with progress_bar(label, length=max(path.stat().st_size, 1)) as bar:
            return upload_document(self._api, path, title=title, on_sent=lambda sent: advance(bar, sent))

    def _wait_until_processed(self, document: Fields) -> Fields:
        """Show the document's progress and return its final state."""
        with progress_bar(_status(document), length=100) as bar:
            for state in _document_states(self._api, document):
                document = state
                if document.text("status") in UNFINISHED_STATUSES:
                    _show_status(bar, document)
        return document

    def _report(self, document: Fields) -> None:
        """Print the outcome of processing. Raises `CliError` if it failed."""
        if document.text("error_code") == "duplicate":
            # The user already has this content. Delete the duplicate, which would stay in the list as failed.
            self._api.fetch(HttpCall("DELETE", document_path(document.text("id"))))
            _print_line(f"{document.text('filename')}: {document.text('error')}")
        elif document.text("status") == "failed":
            raise CliError(f"{title_and_id(document)} cannot be read. {one_line(document.text('error')) or 'Add it again later.'}")
        else:
            _print_line(f"{title_and_id(document)} is ready: {chunk_count(document)}. {document.text('note')}")

    @contextmanager
    def _failures_shown(self, filename: str) -> Iterator[None]:
        """Print a file's failure with its name and continue. Raise it instead if there is only one file or the user is not logged in."""
        try:
            yield
        except CliError as exc:
            if self._files == 1 or isinstance(exc, (NotLoggedIn, SessionEnded)):
                raise
            click.echo(f"{one_line(filename)}: ", nl=False, err=True)
            exc.show()
            self._failed += 1


def _document_states(api: ApiClient, document: Fields) -> Iterator[Fields]:
    """Yield the document now and after every change, until it is processed. Raises `CliError` if it stops changing."""
    yield document
    changed_s = time.monotonic()
    while document.text("status") in UNFINISHED_STATUSES:
        time.sleep(POLL_S)
        current = fetch_document(api, document.text("id"))
        if current != document:
            document, changed_s = current, time.monotonic()
            yield document
        elif time.monotonic() - changed_s >= INGESTION_TIMEOUT_S:
            raise CliError(f"{title_and_id(document)} is still queued on the server. To see its progress: parley documents")


def _show_status(bar: "ProgressBar[int]", document: Fields) -> None:
    """Show status and progress as a bar, or as a line of text if stderr is not a terminal."""
    percent = round(100 * (document.number("progress") or 0.0))
    bar.label = _status(document)
    advance(bar, percent)
    if bar.is_hidden:
        click.echo(f"{bar.label} {percent}%" if document.text("status") == "processing" else bar.label, err=True)


def _status(document: Fields) -> str:
    return f"{shortened(document.text('title'), characters=40)}: {one_line(document.text('status'))}"


def _print_line(text: str) -> None:
    click.echo(one_line(text))
