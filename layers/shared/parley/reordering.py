"""The order that a reranker gives to what was found, waited for no longer than it is worth."""

import threading
from collections.abc import Callable
from typing import ClassVar

from parley.errors import ParleyError
from parley.observability import logger


class Reordering:
    """One call of a reranker, in a thread of its own.

    One that was given up, and has not ended yet, is remembered for the worker: until it ends nobody else should ask, so that
    a service which hangs has a thread for each search that was made at once, and not for each that was ever made.
    """

    _given_up: ClassVar["Reordering | None"] = None

    def __init__(self, ask: Callable[[], list[int]]) -> None:
        self._ask = ask
        self._order: list[int] | None = None
        self._thread = threading.Thread(target=self._run, name="reordering", daemon=True)
        self._thread.start()

    @staticmethod
    def hangs() -> bool:
        """Whether the service has not answered yet to somebody who waits no more."""
        return Reordering._given_up is not None and Reordering._given_up._thread.is_alive()

    def order(self, *, timeout_s: float) -> list[int] | None:
        """Return the order, None if it is not there in time or there is none."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            Reordering._given_up = self
            return None
        return self._order

    def _run(self) -> None:
        try:
            self._order = self._ask()
        except ParleyError as exc:
            logger.warning("what was found keeps its order", problem=exc.code, reason=str(exc))
        except Exception:  # a thread's outermost handler: the order stays as it was found
            logger.exception("reranking broke")
