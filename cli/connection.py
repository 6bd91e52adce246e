"""HTTP to one server: a request, its answer, and every failure in between as a sentence."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from cli.address import is_loopback
from cli.errors import CliError
from cli.fields import Fields
from cli.form import Form
from cli.problem import refusal, stranger
from cli.terminal import line

# What the person sees of this computer in `parley sessions`.
AGENT = f"parley-cli ({sys.platform})"


@dataclass(frozen=True)
class Call:
    """One request, with JSON as its body or a form; `silence_s` is how long the server may say nothing."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    query: Mapping[str, str | int | Sequence[str]] | None = None
    form: Form | None = None
    silence_s: float = 30.0


class Connection:
    """Sends calls to `url`; knows nothing of who is logged in."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Loading certificates takes longer than a local answer, and plain HTTP (redirects are not followed) needs none.
        has_tls = url.startswith("https:")
        # A proxy from the environment must not stand between this computer and itself.
        self._client = httpx2.Client(verify=has_tls, trust_env=not is_loopback(url), headers={"User-Agent": AGENT})

    def close(self) -> None:
        """Close the sockets."""
        self._client.close()

    @contextmanager
    def answer(self, call: Call, *, token: str | None = None) -> Iterator[httpx2.Response]:
        """Give the answer, whatever its status, with its body still unread."""
        headers = {"Authorization": f"Bearer {token}"} if token else None
        timeout = httpx2.Timeout(call.silence_s, connect=10.0)
        with failures_told(self.url):
            request = self._client.build_request(
                call.method, self.url + call.path, params=call.query, headers=headers, timeout=timeout, **_content(call)
            )
            response = self._client.send(request, stream=True)
        try:
            yield response
        finally:
            response.close()

    def content(self, response: httpx2.Response) -> object:
        """Return the JSON of a successful answer, None when it has no body; anything else raises what it says."""
        with failures_told(self.url):
            body = response.read()
        if not response.is_success:
            raise refusal(Fields.parse(body), url=self.url, headers=response.headers, status=response.status_code)
        try:
            return response.json() if body else None
        except (ValueError, RecursionError) as exc:
            raise stranger(self.url, "its answer is not JSON") from exc


@contextmanager
def failures_told(url: str) -> Iterator[None]:
    """Turn transport errors of the block into sentences about `url`."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as exc:
        raise CliError(f"Nothing answers at {url}. {_advice(url)}", details=_reason(exc)) from exc
    except httpx2.TimeoutException as exc:
        raise CliError(f"{url} took too long to answer. Try again; if it stays so, look at the server's log.") from exc
    except UnicodeError as exc:
        raise CliError("What you gave is not text in UTF-8.") from exc
    except (httpx2.RequestError, httpx2.InvalidURL) as exc:
        raise CliError(f"The connection to {url} broke before the answer was complete.", details=_reason(exc)) from exc


def _content(call: Call) -> dict[str, Any]:
    if call.form is None:
        return {"json": call.body}
    return {"data": call.form.fields, "files": {"file": (call.form.filename, call.form.file, call.form.content_type)}}


def _advice(url: str) -> str:
    if is_loopback(url):
        return "Start it with `parley up` (or `make up`), or name another address with --url."
    return "Check the address and your network, or name another address with --url."


def _reason(exc: Exception) -> tuple[str, ...]:
    # "Connection refused" adds nothing to the sentence; a certificate that fails or a name that is unknown does.
    text = line(str(exc))
    return () if not text or "refused" in text or "timed out" in text else (text,)
