"""Documents through the API: find one by its id, upload a file, share, and name a document or a passage on one line."""

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


def set_shared(api: ApiClient, document: Fields, *, shared: bool) -> Fields:
    """Share a document with all users or with nobody, and return it. Raises `CliError` for who is no admin."""
    try:
        return Fields.of(api.fetch(HttpCall("PATCH", document_path(document.text("id")), {"shared": shared})))
    except ApiProblem as exc:
        if exc.status != 403:
            raise
        raise CliError(f"Only admins share documents with all users; {title_and_id(document)} is as it was.", details=exc.details) from exc


DOCUMENTS_PATH = "/documents"


def document_path(document_id: str) -> str:
    """Return the path of a document."""
    return f"{DOCUMENTS_PATH}/{quote(document_id, safe='')}"


def fetch_document(api: ApiClient, document_id: str) -> Fields:
    """Return a document as it is now."""
    return Fields.of(api.fetch(HttpCall("GET", document_path(document_id))))


def find_document(api: ApiClient, given: str) -> Fields:
    """Return the document that `given` names: an id, or the start or end of one."""
    found = full_id(given)
    return (
        fetch_document(api, found)
        if found
        else find_by_id(all_items(api, DOCUMENTS_PATH), given, noun="document", listed_by="parley documents")
    )


def find_document_ids(api: ApiClient, given: tuple[str, ...]) -> list[str]:
    """Return the ids of the documents that are named; a whole id is taken as it is."""
    return [full_id(each) or find_document(api, each).text("id") for each in given]


def title_and_id(document: Fields) -> str:
    """Return title and short id."""
    return f"{one_line(document.text('title'))!r} ({short_id(document.text('id'))})"


def title_and_page(piece: Fields) -> str:
    """Return the title and the page of a piece of a document."""
    page = piece.number("page")
    return shortened(piece.text("title"), characters=80) + ("" if page is None else f", page {page:.0f}")


def chunk_count(document: Fields) -> str:
    """Return how many chunks a document has."""
    count = document.number("chunks") or 0
    return "1 chunk" if count == 1 else f"{count:,.0f} chunks"


# A Lambda function is handed no more than 6 MB, files in base64.
DIRECT_UPLOAD_BYTES = 4_000_000


UPLOAD_TIMEOUT_S = 120.0


def upload_document(api: ApiClient, path: Path, *, title: str | None, on_sent: Callable[[int], None]) -> Fields:
    """Send a file and return its document, which may be an older one of the same bytes.

    The type goes by the name and is a hint only: the server looks at the content.
    """
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    try:
        with ProgressFile(path, on_sent=on_sent) as file:
            form = FileForm({"title": title} if title else {}, file, path.name, content_type)
            if os.fstat(file.fileno()).st_size > DIRECT_UPLOAD_BYTES:
                return _upload_to_storage(api, form)
            return Fields.of(api.fetch(HttpCall("POST", DOCUMENTS_PATH, form=form, timeout_s=UPLOAD_TIMEOUT_S)))
    except OSError as exc:
        raise CliError(f"{path} cannot be read: {exc.strerror}.") from exc


def _upload_to_storage(api: ApiClient, form: FileForm) -> Fields:
    """Announce a file, and send it to where the answer says. One that does not arrive is taken back, else it would be waited for."""
    size = os.fstat(form.file.fileno()).st_size
    body = {"filename": form.filename, "content_type": form.content_type, "bytes": size, **form.fields}
    announced = Fields.of(api.fetch(HttpCall("POST", f"{DOCUMENTS_PATH}/uploads", body)))
    if not announced.text("id"):
        raise not_parley(api.url, "it announced no document")
    try:
        _post_form(api, announced, form)
    except BaseException:
        with suppress(CliError):
            api.fetch(HttpCall("DELETE", document_path(announced.text("id")), timeout_s=5.0))
        raise
    return fetch_document(api, announced.text("id"))


def _post_form(api: ApiClient, announced: Fields, form: FileForm) -> None:
    url, fields = announced.text("upload_url"), announced.part("fields")
    if not url.startswith(("https://", "http://")):
        raise not_parley(api.url, "it gave no address for the file")
    origin = origin_of(url)
    filled = replace(form, fields={name: fields.text(name) for name in fields})
    call = HttpCall("POST", url.removeprefix(origin), form=filled, timeout_s=UPLOAD_TIMEOUT_S)
    with closing(Connection(origin)) as connection, connection.answer(call) as response:
        if not response.is_success:
            raise CliError(f"The file could not be sent to {origin} (it answered {response.status_code}). Try again.")
