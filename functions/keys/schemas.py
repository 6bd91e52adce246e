"""What this function is told to do."""

from typing import Self

from pydantic import model_validator

from parley.auth.public_keys import KeyFamily
from parley.http.schemas import Input


class RotationOrder(Input):
    """The event; what it leaves out is false."""

    emergency: bool = False
    api_keys: bool = False

    @model_validator(mode="after")
    def _only_in_an_emergency(self) -> Self:
        if self.api_keys and not self.emergency:
            raise ValueError("API keys end only in an emergency: their holders have no other way to get in")
        return self

    @property
    def at_once(self) -> frozenset[KeyFamily]:
        """The families whose older keys must verify nothing any more."""
        named: dict[KeyFamily, bool] = {"signing": self.emergency, "api": self.api_keys}
        return frozenset(family for family, is_named in named.items() if is_named)
