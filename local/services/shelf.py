"""What moto forgets on exit, kept on disk."""

from typing import Protocol


class Shelf(Protocol):
    """Keeps one AWS service's state; each service has its own."""

    def changes(self, target: str) -> bool:
        """Return whether the call that this `X-Amz-Target` names changes what is kept."""
        ...

    def save(self) -> None:
        """Write the state; it is on disk when this returns."""
        ...

    def load(self) -> None:
        """Put the state back, if any was saved."""
        ...
