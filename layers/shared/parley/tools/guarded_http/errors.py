"""Why an address was not fetched. `public_message` is for the model and the user, and names no address that was found."""

from parley.errors import ParleyError


class FetchFailed(ParleyError):
    """The other side did not give what was asked for."""

    status, code = 502, "fetch_failed"

    def __init__(self, reason: str, *, evidence: str = "") -> None:
        super().__init__(f"{reason} {evidence}".strip())
        self.public_message = reason


class AddressRefused(FetchFailed):
    """We do not go there."""

    status, code = 422, "address_refused"
