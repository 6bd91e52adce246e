"""The refresh token in a cookie, for pages that the API's own origin serves (docs/adr/0028).

A client asks for cookie mode with the header `X-Session-Mode: cookie`. The refresh token then travels only in an `HttpOnly`
cookie that browsers send to `/auth/refresh` alone, so no script of the page can read it.

Two independent checks stop forged requests. A page of another origin cannot send the header: the preflight request does not
allow it. And browsers state in `Sec-Fetch-Site` where a request comes from, which no page can change.
"""

from typing import Annotated, Literal

from fastapi import Cookie, Depends, Header, Response

from functions.auth.schemas import Refresh, TokensOut
from functions.auth.services import AuthServicesDep
from functions.auth.sessions import IssuedTokens, Lifetimes
from parley.errors import Forbidden, InvalidInput
from parley.http.stage_prefix import StagePrefix

# The prefix makes browsers refuse the cookie from an origin without TLS.
COOKIE = "__Secure-parley-refresh"
REFRESH_PATH = "/auth/refresh"


class CrossSiteRequest(Forbidden):
    """A page of another origin sent a request in cookie mode."""

    code = "cross_site_request"
    public_message = "Only pages of this origin may use the session cookie."


class RefreshCookie:
    """The refresh cookie of a request, and how to set it on the response. `is_on` is whether the request is in cookie mode."""

    def __init__(self, token: str | None, *, is_on: bool, path: str, lifetimes: Lifetimes) -> None:
        self.is_on = is_on
        self._token = token
        self._path = path
        self._max_age_s = int(lifetimes.idle.total_seconds())

    def token_of(self, body: Refresh) -> str:
        """Return the refresh token: in cookie mode the cookie's, otherwise the body's. Raises InvalidInput if there is none.

        Without the mode's header, the cookie is ignored.
        """
        token = self._token or "" if self.is_on else body.refresh_token
        if token is None:
            raise InvalidInput("Field required", loc=("body", "refresh_token"))
        return token

    def deliver(self, tokens: IssuedTokens, response: Response) -> TokensOut:
        """Return the tokens as a response body. In cookie mode the refresh token is in the cookie instead of the body."""
        if not self.is_on:
            return TokensOut.of(tokens)
        self._set(response, tokens.refresh_token, max_age_s=self._max_age_s)
        return TokensOut.of(tokens).model_copy(update={"refresh_token": None})

    def clear(self, response: Response) -> None:
        """Delete the cookie, in cookie mode."""
        if self.is_on:
            self._set(response, "", max_age_s=0)

    def _set(self, response: Response, value: str, *, max_age_s: int) -> None:
        response.set_cookie(COOKIE, value, max_age=max_age_s, path=self._path, secure=True, httponly=True, samesite="strict")


async def _refresh_cookie(
    services: AuthServicesDep,
    stage_prefix: StagePrefix,
    x_session_mode: Annotated[Literal["cookie"] | None, Header()] = None,
    sec_fetch_site: Annotated[str | None, Header(include_in_schema=False)] = None,
    token: Annotated[str | None, Cookie(alias=COOKIE, max_length=200)] = None,
) -> RefreshCookie:
    if x_session_mode and sec_fetch_site not in (None, "same-origin"):
        raise CrossSiteRequest(f"Sec-Fetch-Site is {sec_fetch_site!r}")
    return RefreshCookie(token, is_on=x_session_mode is not None, path=f"{stage_prefix}{REFRESH_PATH}", lifetimes=services.lifetimes)


RefreshCookieDep = Annotated[RefreshCookie, Depends(_refresh_cookie)]
