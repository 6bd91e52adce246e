"""The order that a reranker gives to what was found, waited for no longer than it is worth."""

import threading
import time
from collections.abc import Callable
from typing import ClassVar

from parley.errors import ParleyError
from parley.observability import logger

# A service that was too slow once is likely to be so again, and each try delays a search and is paid.
PAUSE_S = 60.0


class Reordering:
    """One call of a reranker, in a thread of its own.

    One that was given up is remembered for the worker: until it has ended, and for a minute, nobody else should ask. So a
    service which hangs has a thread for each search that was made at once, and not for each that was ever made.
    """

    _given_up: ClassVar["Reordering | None"] = None
    _ask_again_s: ClassVar[float] = 0.0

    def __init__(self, ask: Callable[[], list[int]]) -> None:
        self._ask = ask
        self._order: list[int] | None = None
        self._thread = threading.Thread(target=self._run, name="reordering", daemon=True)
        self._thread.start()

    @staticmethod
    def is_paused() -> bool:
        """Whether nobody should ask, for the service has let somebody wait too long."""
        hangs = Reordering._given_up is not None and Reordering._given_up._thread.is_alive()
        return hangs or time.monotonic() < Reordering._ask_again_s

    def order(self, *, timeout_s: float) -> list[int] | None:
        """Return the order, None if it is not there in time or there is none."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._give_up(timeout_s)
            return None
        return self._order

    def _give_up(self, waited_s: float) -> None:
        logger.warning("a reranker was too slow: it is not asked for a while", waited_s=waited_s, pause_s=PAUSE_S)
        Reordering._given_up, Reordering._ask_again_s = self, time.monotonic() + PAUSE_S

    def _run(self) -> None:
        try:
            self._order = self._ask()
        except ParleyError as exc:
            logger.warning("what was found keeps its order", problem=exc.code, reason=str(exc))
        except Exception:  # a thread's outermost handler: the order stays as it was found
            logger.exception("reranking broke")
