"""The account routes."""

from typing import Any

from fastapi import APIRouter, Depends, Request

from functions.auth import sessions, sign_in
from functions.auth.schemas import Login, Logout, ProfileChange, Refresh, Registration, TokensOut, UserOut
from parley.db import sessions as stored_sessions
from parley.db import users
from parley.http.dependencies import CurrentPrincipal, Transaction, requires

router = APIRouter()
ACCOUNT = [Depends(requires("account"))]


@router.post("/auth/register", status_code=201)
def register(body: Registration, request: Request) -> TokensOut:
    """Make an account and sign it in."""
    state = request.app.state
    return TokensOut.of(sign_in.register(state.engine, state.passwords, state.key_ring(), **body.model_dump()))


@router.post("/auth/login")
def log_in(body: Login, request: Request) -> TokensOut:
    """Start a session."""
    state = request.app.state
    return TokensOut.of(sign_in.log_in(state.engine, state.background_engine, state.passwords, state.key_ring(), **body.model_dump()))


@router.post("/auth/refresh")
def refresh(body: Refresh, request: Request) -> TokensOut:
    """Exchange a refresh token for a new pair."""
    return TokensOut.of(sessions.refresh(request.app.state.engine, request.app.state.key_ring(), body.refresh_token))


@router.post("/auth/logout", status_code=204)
def log_out(principal: CurrentPrincipal, transaction: Transaction, body: Logout | None = None) -> None:
    """End this session, or every one of the user."""
    if body and body.everywhere:
        stored_sessions.end_all(transaction, user_id=principal.user_id)
    else:
        stored_sessions.end(transaction, principal.session_id, user_id=principal.user_id)


@router.get("/auth/me", dependencies=ACCOUNT)
def me(principal: CurrentPrincipal, transaction: Transaction) -> UserOut:
    """Return the caller's account."""
    return UserOut.model_validate(users.get(transaction, principal.user_id))


@router.patch("/auth/me", dependencies=ACCOUNT)
def change_me(body: ProfileChange, principal: CurrentPrincipal, transaction: Transaction) -> UserOut:
    """Change what the body names of the caller's profile."""
    return UserOut.model_validate(users.change(transaction, principal.user_id, body.model_dump(exclude_unset=True)))


@router.get("/.well-known/jwks.json")
def jwks(request: Request) -> dict[str, Any]:
    """Publish the keys that access tokens are verified with (RFC 7517)."""
    found: dict[str, Any] = request.app.state.key_ring().jwks()
    return found
