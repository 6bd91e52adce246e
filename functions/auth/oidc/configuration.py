"""The issuers of OpenID Connect that the operator configures."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Text = Annotated[str, Field(min_length=1, max_length=500)]


class OidcIssuer(BaseModel):
    """An issuer as the operator configures it. `client_secret` is best a reference, `secret:name`; public clients have none.

    With `admin_groups`, the issuer decides at each login who is an admin. With `allowed_groups`, only their members may log in. After a
    logout there, the issuer sends the browser to `post_logout_redirect_uri`. With `acr_values` or `amr_values`, a login must have been of
    one of these classes, or by one of these methods (OpenID Connect Core 2, RFC 8176), such as `mfa`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
    label: Annotated[str, Field(min_length=1, max_length=60)]
    issuer: Text
    client_id: Text
    client_secret: Text | None = None
    scopes: tuple[Text, ...] = ("openid", "email", "profile")
    email_verified_claim: Text = "email_verified"
    groups_claim: Text = "groups"
    admin_groups: tuple[Text, ...] = ()
    allowed_groups: tuple[Text, ...] = ()
    post_logout_redirect_uri: Text | None = None
    acr_values: tuple[Text, ...] = ()
    amr_values: tuple[Text, ...] = ()

    @field_validator("post_logout_redirect_uri")
    @classmethod
    def _require_address(cls, value: str | None) -> str | None:
        if value is not None and not is_secure(value):
            raise ValueError("must be an https address")
        return value

    @field_validator("issuer")
    @classmethod
    def _require_tls(cls, value: str) -> str:
        if not is_secure(value) or urlsplit(value).query or "#" in value:
            raise ValueError("must be an https address without a query")
        return value

    @property
    def host(self) -> str:
        """The issuer's host and port, as the guarded client admits them."""
        parts = urlsplit(self.issuer)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_secure(url: str) -> bool:
    """Return whether an address is https, or http on this machine, which is for development."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))
    except ValueError:
        return False


def parse_issuers(text: str) -> tuple[OidcIssuer, ...]:
    """Parse the parameter `OidcIssuers`, a JSON list; an empty text is an empty list. Raises ValueError."""
    if not text.strip():
        return ()
    try:
        # The input may be a client's secret, and a traceback shows the cause of an error.
        issuers = TypeAdapter(tuple[OidcIssuer, ...], config=ConfigDict(hide_input_in_errors=True)).validate_json(text)
    except ValidationError as exc:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors())
        raise ValueError(f"OidcIssuers: {found}") from exc
    if len({one.id for one in issuers}) != len(issuers) or len({one.issuer for one in issuers}) != len(issuers):
        raise ValueError("OidcIssuers: two issuers have the same id or the same address")
    return issuers
