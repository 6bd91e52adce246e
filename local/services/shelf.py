"""What moto forgets on exit, kept on disk."""

from collections.abc import Mapping
from typing import Any, Protocol


class Shelf(Protocol):
    """Keeps one AWS service's state; each service has its own."""

    def changes(self, environ: Mapping[str, Any]) -> bool:
        """Return whether the request of this WSGI environment changes what is kept."""
        ...

    def save(self) -> None:
        """Write the state; it is on disk when this returns."""
        ...

    def load(self) -> None:
        """Put the state back, if any was saved."""
        ...
