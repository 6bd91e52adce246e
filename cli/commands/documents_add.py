"""`parley documents add`: upload files, and follow their ingestion."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cli.api import ApiClient
from cli.document_api import chunk_count, document_path, fetch_document, set_shared, title_and_id, upload_document
from cli.errors import CliError, NotLoggedIn, SessionEnded
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.options import with_api_or_key
from cli.output import ProgressLine, one_line, progress_bar, shortened

POLL_S = 0.5
# The server takes up a document whose function was killed within seven minutes.
INGESTION_TIMEOUT_S = 900.0
UNFINISHED_STATUSES = ("queued", "processing")
_FILE_TYPE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE_TYPE)
@click.option("--title", metavar="TITLE", help="What the document is called.  [default: the file's name]")
@click.option("--no-wait", "is_left", is_flag=True, help="Do not wait until the files have been read.")
@click.option("--share", is_flag=True, help="Let all users of the server read them; for admins.")
@with_api_or_key
def add(api: ApiClient, files: tuple[Path, ...], title: str | None, is_left: bool, share: bool) -> None:
    """Add files, and watch them being read.

    Text, Markdown, HTML, PDF, DOCX, CSV, JSON and source code can be read. That goes on in the background when you leave.
    """
    _check_files(files, title)
    with ProgressLine() as progress:
        uploads = DocumentUploads(api, progress, files=len(files))
        sent = [uploads.send(path, title=title, share=share) for path in files]
        if not is_left:
            uploads.follow([document for document in sent if document])
    uploads.raise_for_failures()


class DocumentUploads:
    """Adds files one by one; one that fails does not keep the next ones back."""

    def __init__(self, api: ApiClient, progress: ProgressLine, *, files: int) -> None:
        self._api, self._progress = api, progress
        self._files, self._failed = files, 0

    def send(self, path: Path, *, title: str | None, share: bool) -> Fields | None:
        """Send a file and return its document if it is to be read; one that is there already needs that no more."""
        name, size = shortened(path.name, characters=40), max(path.stat().st_size, 1)
        with self._failures_shown():
            document = upload_document(
                self._api, path, title=title, on_sent=lambda sent: self._progress.show(f"{name}: sending {progress_bar(sent / size)}")
            )
            if share:
                document = set_shared(self._api, document, shared=True)
            is_new = document.text("status") == "queued"
            self._progress.keep(f"{name} {'was added' if is_new else 'is there already'}, as {title_and_id(document)}")
            return document if document.text("status") in UNFINISHED_STATUSES else None
        return None

    def follow(self, documents: list[Fields]) -> None:
        """Watch documents until each is ready; Ctrl-C ends the watching only, and says so."""
        try:
            for document in documents:
                with self._failures_shown():
                    self._follow(document)
        except KeyboardInterrupt:
            self._progress.show("")
            click.echo("Reading goes on. How far it is: parley documents", err=True)
            raise

    def raise_for_failures(self) -> None:
        """Raise `CliError` if one of several files failed."""
        if self._failed:
            raise CliError(f"{self._failed} of {self._files} files were not added.")

    def _follow(self, document: Fields) -> None:
        for state in _document_states(self._api, document):
            document = state
            if document.text("status") in UNFINISHED_STATUSES:
                self._show(document)
        if document.text("error_code") == "duplicate":
            # The same bytes a second time are no use to anybody.
            self._api.fetch(HttpCall("DELETE", document_path(document.text("id"))))
            self._progress.keep(f"{one_line(document.text('filename'))}: {document.text('error')}")
        elif document.text("status") == "failed":
            raise CliError(f"{title_and_id(document)} cannot be read. {one_line(document.text('error')) or 'Add it again later.'}")
        else:
            self._progress.keep(f"{title_and_id(document)} is ready: {chunk_count(document)}. {document.text('note')}")

    def _show(self, document: Fields) -> None:
        name, status, share = shortened(document.text("title"), characters=40), document.text("status"), document.number("progress") or 0.0
        self._progress.show(f"{name}: {status} {progress_bar(share)}")
        self._progress.step(f"{name}: {status} {share:.0%}" if status == "processing" else f"{name}: {status}")

    @contextmanager
    def _failures_shown(self) -> Iterator[None]:
        """Show what fails and go on; of a single file it is the command's own failure."""
        try:
            yield
        except CliError as exc:
            if self._files == 1 or isinstance(exc, (NotLoggedIn, SessionEnded)):
                raise
            self._progress.show("")
            exc.show()
            self._failed += 1


def _check_files(files: tuple[Path, ...], title: str | None) -> None:
    """Refuse before anything is sent."""
    if title and len(files) > 1:
        raise click.UsageError("--title is for one file.")
    for path in files:
        if path.is_file() and not path.stat().st_size:
            raise click.UsageError(f"{path} is empty: there is nothing to read.")
        if not path.is_file():
            raise click.UsageError(f"{path} is no ordinary file.")


def _document_states(api: ApiClient, document: Fields) -> Iterator[Fields]:
    """Yield the document as it is again and again, the last time when it has been read. Raises `CliError` when nothing goes on."""
    seen, since = document, time.monotonic()
    while document.text("status") in UNFINISHED_STATUSES:
        yield document
        time.sleep(POLL_S)
        document = fetch_document(api, document.text("id"))
        if document != seen:
            seen, since = document, time.monotonic()
        elif time.monotonic() - since >= INGESTION_TIMEOUT_S:
            raise CliError(f"{title_and_id(document)} still waits to be read. It stays in line. Look later: parley documents")
    yield document
