"""HTTP to one server: addresses, requests and responses. Transport failures become readable errors."""

import io
import ipaddress
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, override
from urllib.parse import SplitResult, urlsplit

import click
import httpx2

from cli.errors import CliError, ConnectionLost, NoServer, error_from_answer, not_parley
from cli.json_fields import Fields
from cli.output import one_line

# `parley sessions` shows this value in its `program` column.
USER_AGENT = f"parley-cli ({sys.platform})"


def default_url(last_url: str | None) -> str:
    """Return the address of the last login, else the address of the local stack."""
    return last_url or f"http://127.0.0.1:{os.environ.get('PARLEY_PORT') or 3000}"


def normalised_url(url: str) -> str:
    """Return `url` in the form under which its session is stored: lower-case host, stage path, no trailing slash.

    Raises a usage error unless `url` is an http(s) address without user, query or fragment.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise click.UsageError(f"{url!r} is not a valid address. Example: http://127.0.0.1:3000")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL exactly as written: normalising could break a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(url: str) -> bool:
    """Return whether the address is on this computer."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        return None
    return parts


@dataclass(frozen=True)
class FileForm:
    """A multipart form: the fields in order, then the file as the field `file`."""

    fields: Mapping[str, str]
    file: BinaryIO
    filename: str
    content_type: str


class ProgressFile(io.FileIO):
    """A file to upload; `on_sent` is called with the number of bytes read so far."""

    def __init__(self, path: Path, *, on_sent: Callable[[int], None]) -> None:
        super().__init__(path)
        self._on_sent = on_sent

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes and report the position."""
        content = super().read(-1 if size is None else size)
        self._on_sent(self.tell())
        return content


@dataclass(frozen=True)
class HttpCall:
    """One request with a JSON body or a form. `timeout_s` limits each wait for the server, not the total time.

    A call with an `idempotency_key` can be repeated safely after a lost connection.
    """

    method: str
    path: str
    body: Mapping[str, object] | None = None
    query: Mapping[str, str | int | Sequence[str]] | None = None
    form: FileForm | None = None
    timeout_s: float = 30.0
    idempotency_key: str | None = None


class Connection:
    """Sends calls to `url`. Credentials are passed to each call."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Loading certificates takes longer than a local response. Plain HTTP never needs them, because redirects are not followed.
        has_tls = url.startswith("https:")
        # Calls to this computer must bypass a proxy from the environment.
        self._client = httpx2.Client(verify=has_tls, trust_env=not is_loopback(url), headers={"User-Agent": USER_AGENT})

    def close(self) -> None:
        """Close the sockets."""
        self._client.close()

    @contextmanager
    def send(self, call: HttpCall, *, token: str | None = None) -> Iterator[httpx2.Response]:
        """Send a call and yield the response, whatever its status, with its body unread."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if call.idempotency_key:
            headers["Idempotency-Key"] = call.idempotency_key
        timeout = httpx2.Timeout(call.timeout_s, connect=10.0)
        with readable_errors(self.url):
            request = self._client.build_request(
                call.method, self.url + call.path, params=call.query, headers=headers, timeout=timeout, **_request_content(call)
            )
            response = self._client.send(request, stream=True)
        try:
            yield response
        finally:
            response.close()

    def read_json(self, response: httpx2.Response) -> object:
        """Return the JSON of a successful response, or None if it has no body. Raises `CliError` for an error status."""
        with readable_errors(self.url):
            body = response.read()
        if not response.is_success:
            raise error_from_answer(Fields.parse(body), url=self.url, headers=response.headers, status=response.status_code)
        try:
            return response.json() if body else None
        except (ValueError, RecursionError) as exc:
            raise not_parley(self.url, "its answer is not JSON") from exc


@contextmanager
def readable_errors(url: str) -> Iterator[None]:
    """Convert transport errors in the block to `CliError`s that name `url`."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as exc:
        raise NoServer(f"No server answers at {url}. {_advice(url)}", details=_reason(exc)) from exc
    except httpx2.TimeoutException as exc:
        raise CliError(f"{url} took too long to answer. Try again; if it happens again, check the server's log.") from exc
    except UnicodeError as exc:
        raise CliError("The input is not valid UTF-8 text.") from exc
    except (httpx2.RequestError, httpx2.InvalidURL) as exc:
        message = f"The connection to {url} was lost before the answer was complete. Try again."
        raise ConnectionLost(message, details=_reason(exc)) from exc


def _request_content(call: HttpCall) -> dict[str, Any]:
    if call.form is None:
        return {"json": call.body}
    return {"data": call.form.fields, "files": {"file": (call.form.filename, call.form.file, call.form.content_type)}}


def _advice(url: str) -> str:
    if is_loopback(url):
        return "Start it with `parley up` (or `make up`), or name another address with --url."
    return "Check the address and your network, or name another address with --url."


def _reason(exc: Exception) -> tuple[str, ...]:
    # "Connection refused" adds nothing to the message. Other reasons, such as a bad certificate or an unknown host name, do.
    text = one_line(str(exc))
    return () if not text or "refused" in text or "timed out" in text else (text,)
