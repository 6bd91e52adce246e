"""Errors of a fetch. `public_message` is for the model and the user, and contains no resolved address."""

from parley.errors import ParleyError


class FetchFailed(ParleyError):
    """The server could not be reached or its response is unusable."""

    code = "fetch_failed"

    def __init__(self, reason: str, *, evidence: str = "") -> None:
        super().__init__(f"{reason} {evidence}".strip())
        self.public_message = reason


class AddressRefused(FetchFailed):
    """The URL is malformed or its address must not be fetched."""

    code = "address_refused"
