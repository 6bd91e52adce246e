"""Sending a file: a small one with the request, a larger one to where the API says."""

import mimetypes
import os
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from cli.address import origin_of
from cli.api import Api
from cli.connection import Call, Connection
from cli.document import PATH, address, fetch
from cli.errors import CliError
from cli.fields import Fields
from cli.form import Form, WatchedFile
from cli.problem import stranger

# A Lambda function is handed no more than 6 MB, files in base64.
SMALL_BYTES = 4_000_000
SILENCE_S = 120.0


def send(api: Api, path: Path, *, title: str | None, tell_sent: Callable[[int], None]) -> Fields:
    """Send a file and return its document, which may be an older one of the same bytes.

    The type goes by the name and is a hint only: the server looks at the content.
    """
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    try:
        with WatchedFile(path, tell_sent=tell_sent) as file:
            form = Form({"title": title} if title else {}, file, path.name, content_type)
            if os.fstat(file.fileno()).st_size > SMALL_BYTES:
                return _sent_aside(api, form)
            return Fields.of(api.fetch(Call("POST", PATH, form=form, silence_s=SILENCE_S)))
    except OSError as exc:
        raise CliError(f"{path} cannot be read: {exc.strerror}.") from exc


def _sent_aside(api: Api, form: Form) -> Fields:
    """Announce a file, and send it to where the answer says. One that does not arrive is taken back, else it would be waited for."""
    size = os.fstat(form.file.fileno()).st_size
    wish = {"filename": form.filename, "content_type": form.content_type, "bytes": size, **form.fields}
    announced = Fields.of(api.fetch(Call("POST", f"{PATH}/uploads", wish)))
    if not announced.text("id"):
        raise stranger(api.url, "it announced no document")
    try:
        _post(api, announced, form)
    except BaseException:
        with suppress(CliError):
            api.fetch(Call("DELETE", address(announced.text("id")), silence_s=5.0))
        raise
    return fetch(api, announced.text("id"))


def _post(api: Api, announced: Fields, form: Form) -> None:
    url, fields = announced.text("upload_url"), announced.part("fields")
    if not url.startswith(("https://", "http://")):
        raise stranger(api.url, "it gave no address for the file")
    origin = origin_of(url)
    filled = replace(form, fields={name: fields.text(name) for name in fields})
    call = Call("POST", url.removeprefix(origin), form=filled, silence_s=SILENCE_S)
    with closing(Connection(origin)) as connection, connection.answer(call) as response:
        if not response.is_success:
            raise CliError(f"The file could not be sent to {origin} (it answered {response.status_code}). Try again.")
