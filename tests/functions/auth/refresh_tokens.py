"""Exchange refresh tokens as a client does."""

from tests.support.api_gateway import Answer, Function


def refresh(auth: Function, token: str) -> Answer:
    """Send a refresh token."""
    return auth.post("/auth/refresh", {"refresh_token": token})


def next_token(auth: Function, token: str) -> str:
    """Exchange a refresh token and return its successor. Asserts success."""
    answer = refresh(auth, token)
    assert answer.status == 200, answer.body
    return str(answer.json["refresh_token"])
