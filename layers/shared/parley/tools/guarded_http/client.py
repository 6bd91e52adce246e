"""The client with which tools fetch untrusted URLs: public addresses only, with limits on time, size and redirects.

The HTTP library is imported at the first fetch.
"""

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parley.tools.guarded_http.deadline import FetchDeadline
from parley.tools.guarded_http.egress_filter import EgressFilter, ResolveHost, system_addresses
from parley.tools.guarded_http.errors import AddressRefused, FetchFailed

if TYPE_CHECKING:
    import httpx2


MAX_BYTES = 5_000_000
TIMEOUT_S = 10.0
MAX_REDIRECTS = 3
MAX_URL_LETTERS = 4096
_DEFAULT_HEADERS = {"User-Agent": "Parley", "Accept-Encoding": "gzip, deflate"}
_ANY_HEADER = 32 + zlib.MAX_WBITS  # zlib detects from the body whether it has a gzip or a zlib header


def read_body(chunks: Iterable[bytes], *, encoding: str, max_bytes: int) -> bytes:
    """Return the whole body, decompressed if `encoding` is gzip or deflate.

    Raises FetchFailed as soon as the body exceeds `max_bytes`, without decompressing the rest.
    """
    decode = _decoder(encoding)
    body = bytearray()
    for chunk in chunks:
        body += decode(chunk, max_bytes + 1 - len(body))
        if len(body) > max_bytes:
            raise FetchFailed(f"The response is larger than {max_bytes / 1_000_000:g} MB.")
    return bytes(body)


class _Inflater:
    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_ANY_HEADER)

    def __call__(self, chunk: bytes, max_bytes: int) -> bytes:
        try:
            return self._inflate.decompress(chunk, max_bytes)
        except zlib.error as exc:
            raise FetchFailed("The response does not match its content encoding.") from exc


def _not_encoded(chunk: bytes, max_bytes: int) -> bytes:
    return chunk[:max_bytes]


def _decoder(encoding: str) -> Callable[[bytes, int], bytes]:
    match encoding.strip().lower():
        case "" | "identity":
            return _not_encoded
        case "gzip" | "x-gzip" | "deflate":
            return _Inflater()
    raise FetchFailed("The response has an unsupported content encoding.", evidence=repr(encoding))


@dataclass(frozen=True, slots=True)
class FetchResult:
    """A response of any status; `url` is the final URL after redirects."""

    url: str
    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        """Return the body parsed as JSON. Raises FetchFailed if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise FetchFailed("The response is not JSON.") from exc


class GuardedHttp:
    """Fetches public http and https URLs with at most 3 redirects, 5 MB and 10 s; every hop is checked.

    `allowed_hosts` ("name" or "name:port") may have any address; they are for development.
    """

    def __init__(self, allowed_hosts: Collection[str] = (), *, resolve: ResolveHost = system_addresses) -> None:
        self._filter = EgressFilter(allowed_hosts, resolve=resolve)

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int | float] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        max_bytes: int = MAX_BYTES,
        max_redirects: int = MAX_REDIRECTS,
    ) -> FetchResult:
        """Fetch a URL. `headers` are sent only to the URL's origin, not to another origin after a redirect.

        Raises AddressRefused if the URL must not be fetched, and FetchFailed if fetching fails.
        """
        import httpx2

        def send(client: httpx2.Client) -> FetchResult:
            address = httpx2.URL(url).copy_merge_params(dict(params)) if params else httpx2.URL(url)
            return _follow(
                client, address, dict(headers or {}), max_bytes=min(max_bytes, MAX_BYTES), max_redirects=min(max_redirects, MAX_REDIRECTS)
            )

        return self._run(send, timeout_s=timeout_s)

    def post_form(
        self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
    ) -> FetchResult:
        """Send a form to a URL and return the response. A redirect is not followed: nobody else receives the form.

        Raises AddressRefused if the URL must not be fetched, and FetchFailed if fetching fails.
        """
        return self._post(url, {"data": dict(form)}, headers=headers, timeout_s=timeout_s, max_bytes=MAX_BYTES)

    def post_json(
        self,
        url: str,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        max_bytes: int = MAX_BYTES,
    ) -> FetchResult:
        """Send a JSON object to a URL, as `post_form` sends a form."""
        return self._post(url, {"json": dict(body)}, headers=headers, timeout_s=timeout_s, max_bytes=min(max_bytes, MAX_BYTES))

    def post_text(
        self, url: str, body: str, *, headers: Mapping[str, str], timeout_s: float = TIMEOUT_S, max_bytes: int = MAX_BYTES
    ) -> FetchResult:
        """Send a text to a URL, byte by byte as given, as `post_form` sends a form."""
        return self._post(url, {"content": body.encode()}, headers=headers, timeout_s=timeout_s, max_bytes=min(max_bytes, MAX_BYTES))

    def _post(
        self, url: str, content: Mapping[str, Any], *, headers: Mapping[str, str] | None, timeout_s: float, max_bytes: int
    ) -> FetchResult:
        import httpx2

        def send(client: httpx2.Client) -> FetchResult:
            address = httpx2.URL(url)
            _check(address)
            with client.stream("POST", address, headers=_DEFAULT_HEADERS | dict(headers or {}), **content) as response:
                return _read(response, str(address), max_bytes=max_bytes)

        return self._run(send, timeout_s=timeout_s)

    def _run(self, send: "Callable[[httpx2.Client], FetchResult]", *, timeout_s: float) -> FetchResult:
        import httpx2

        from parley.tools.guarded_http.transport import GuardedTransport

        transport = GuardedTransport(self._filter, FetchDeadline(min(timeout_s, TIMEOUT_S)))
        try:
            with httpx2.Client(transport=transport, trust_env=False, timeout=TIMEOUT_S) as client:
                return send(client)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as exc:
            raise AddressRefused("This is not an http or https address.", evidence=type(exc).__name__) from exc
        except httpx2.TimeoutException as exc:
            raise FetchFailed("The server did not respond in time.", evidence=repr(exc)) from exc
        except httpx2.HTTPError as exc:
            raise FetchFailed("The server could not be reached.", evidence=repr(exc)) from exc


def _follow(client: "httpx2.Client", url: "httpx2.URL", headers: dict[str, str], *, max_bytes: int, max_redirects: int) -> FetchResult:
    origin = _origin(url)
    for _ in range(max_redirects + 1):
        _check(url)
        origin_headers = headers if _origin(url) == origin else {}
        with client.stream("GET", url, headers=_DEFAULT_HEADERS | origin_headers) as response:
            if response.next_request is None:
                return _read(response, str(url), max_bytes=max_bytes)
            url = response.next_request.url
    raise FetchFailed(f"The address redirects more than {max_redirects} times." if max_redirects else "The address redirects.")


def _read(response: "httpx2.Response", url: str, *, max_bytes: int) -> FetchResult:
    body = read_body(response.iter_raw(), encoding=response.headers.get("content-encoding", ""), max_bytes=max_bytes)
    return FetchResult(url, response.status_code, response.headers.get("content-type", ""), body)


def _check(url: "httpx2.URL") -> None:
    if url.scheme not in ("http", "https") or not url.host or len(str(url)) > MAX_URL_LETTERS:
        raise AddressRefused("This is not an http or https address.")
    if url.userinfo:
        raise AddressRefused("An address with a user name or password is not allowed.")


def _origin(url: "httpx2.URL") -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
