"""Documents over the API: find, upload and share a document, format its title, and send files to the storage."""

import mimetypes
import os
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from cli.api import ApiClient
from cli.errors import ApiProblem, CliError, not_parley
from cli.http import Connection, FileForm, HttpCall, ProgressFile, origin_of
from cli.json_fields import Fields
from cli.listing import all_items, find_by_id, full_id, short_id
from cli.output import one_line, shortened

DOCUMENTS_PATH = "/documents"
# Lambda accepts requests of at most 6 MB, and API Gateway encodes files in base64.
DIRECT_UPLOAD_BYTES = 4_000_000
UPLOAD_TIMEOUT_S = 120.0


def document_path(document_id: str) -> str:
    """Return the path of a document."""
    return f"{DOCUMENTS_PATH}/{quote(document_id, safe='')}"


def fetch_document(api: ApiClient, document_id: str) -> Fields:
    """Return a document's current state."""
    return Fields.of(api.fetch(HttpCall("GET", document_path(document_id))))


def find_document(api: ApiClient, given: str) -> Fields:
    """Return the document whose id is `given`, or starts or ends with it. Raises `CliError` if no document or several match."""
    document_id = full_id(given)
    if document_id:
        return fetch_document(api, document_id)
    return find_by_id(all_items(api, DOCUMENTS_PATH), given, noun="document", listed_by="parley documents")


def find_document_ids(api: ApiClient, given: tuple[str, ...]) -> list[str]:
    """Return the ids of the given documents. A full id is returned without asking the server."""
    return [full_id(each) or find_document(api, each).text("id") for each in given]


def set_shared(api: ApiClient, document: Fields, *, shared: bool) -> Fields:
    """Share a document with all users or make it private, and return it. Raises `CliError` if the user is not an admin."""
    try:
        return Fields.of(api.fetch(HttpCall("PATCH", document_path(document.text("id")), {"shared": shared})))
    except ApiProblem as exc:
        if exc.status != 403:
            raise
        message = f"Only admins can share documents with all users; {title_and_id(document)} is unchanged."
        raise CliError(message, details=exc.details) from exc


def title_and_id(document: Fields) -> str:
    """Return the quoted title and the short id."""
    return f"{one_line(document.text('title'))!r} ({short_id(document.text('id'))})"


def title_and_page(chunk: Fields) -> str:
    """Return the title and page of a chunk or source, or the title and address of a web page."""
    page, url = chunk.number("page"), chunk.text("url")
    where = f", page {page:.0f}" if page is not None else f", {shortened(url, characters=120)}" if url else ""
    return shortened(chunk.text("title"), characters=80) + where


def chunk_count(document: Fields) -> str:
    """Return the number of chunks with its noun: `12 chunks`."""
    count = document.number("chunks") or 0
    return "1 chunk" if count == 1 else f"{count:,.0f} chunks"


def upload_document(api: ApiClient, path: Path, *, title: str | None, on_sent: Callable[[int], None]) -> Fields:
    """Upload a file and return its document, which may be an existing document with the same bytes.

    The content type is guessed from the file name. It is only a hint: the server inspects the content.
    `on_sent` is called with the number of bytes sent so far.
    """
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    try:
        with ProgressFile(path, on_sent=on_sent) as file:
            form = FileForm({"title": title} if title else {}, file, path.name, content_type)
            if os.fstat(file.fileno()).st_size > DIRECT_UPLOAD_BYTES:
                return _upload_to_storage(api, form)
            return Fields.of(api.fetch(HttpCall("POST", DOCUMENTS_PATH, form=form, timeout_s=UPLOAD_TIMEOUT_S)))
    except OSError as exc:
        raise CliError(f"Cannot read {path}: {exc.strerror}.") from exc


def _upload_to_storage(api: ApiClient, form: FileForm) -> Fields:
    """Announce a file to the server, then send it to the address in the response.

    If sending fails, the announced document is deleted, because the server would keep waiting for its file.
    """
    size = os.fstat(form.file.fileno()).st_size
    body = {"filename": form.filename, "content_type": form.content_type, "bytes": size, **form.fields}
    announced = Fields.of(api.fetch(HttpCall("POST", f"{DOCUMENTS_PATH}/uploads", body)))
    if not announced.text("id"):
        raise not_parley(api.url, "its answer has no document id")
    try:
        post_form(api, announced, form)
    except BaseException:
        with suppress(CliError):
            api.fetch(HttpCall("DELETE", document_path(announced.text("id")), timeout_s=5.0))
        raise
    return fetch_document(api, announced.text("id"))


def post_form(api: ApiClient, announced: Fields, form: FileForm) -> None:
    """Send a file to the address in the server's response, with the fields that it gives."""
    url = announced.text("upload_url")
    fields = announced.part("fields")
    if not url.startswith(("https://", "http://")):
        raise not_parley(api.url, "its answer has no upload address")
    origin = origin_of(url)
    signed_form = replace(form, fields={name: fields.text(name) for name in fields})
    call = HttpCall("POST", url.removeprefix(origin), form=signed_form, timeout_s=UPLOAD_TIMEOUT_S)
    with closing(Connection(origin)) as connection, connection.send(call) as response:
        if not response.is_success:
            raise CliError(f"The file could not be sent to {origin} (status {response.status_code}). Try again.")
