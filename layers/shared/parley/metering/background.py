"""Vendor calls in a thread of their own, waited for no longer than the result is worth.

A call that was abandoned and is still running is remembered for the worker, so that a hanging service holds a bounded
number of threads.
"""

import threading
import time
from collections.abc import Callable
from typing import ClassVar, Self

from parley.db.vectors import Vector
from parley.errors import ParleyError
from parley.llm.model import ModelCall
from parley.observability import logger


class BackgroundEmbedding:
    """One call of the embedding model, in a thread of its own. `call` is what is to be paid for, whatever became of it.

    One that was given up, and has not ended yet, is remembered for the worker: until it ends, `begin` begins no other, so
    that a service which hangs has a thread for each question that was asked at once, and not for each that was ever asked.
    """

    _given_up: ClassVar["BackgroundEmbedding | None"] = None

    def __init__(self, call: ModelCall, embed: Callable[[], list[Vector]]) -> None:
        self.call = call
        self._embed = embed
        self._vector: Vector | None = None
        self._thread = threading.Thread(target=self._run, name="recollection", daemon=True)
        self._thread.start()

    @classmethod
    def begin(cls, call: ModelCall, embed: Callable[[], list[Vector]]) -> Self | None:
        """Begin a call; None while one that was given up still hangs."""
        return None if cls.is_hanging() else cls(call, embed)

    @staticmethod
    def is_hanging() -> bool:
        """Whether the service has not answered yet to somebody who waits no more."""
        return BackgroundEmbedding._given_up is not None and BackgroundEmbedding._given_up.is_under_way

    @property
    def is_under_way(self) -> bool:
        """Whether the service has not answered yet."""
        return self._thread.is_alive()

    def vector(self, *, timeout_s: float) -> Vector | None:
        """Return the vector, None if it is not there in time or there is none."""
        self._thread.join(timeout_s)
        if self.is_under_way:
            BackgroundEmbedding._given_up = self
        return self._vector

    def _run(self) -> None:
        try:
            (self._vector,) = self._embed()
        except ParleyError as exc:
            logger.warning("a question has no vector", problem=exc.code, reason=str(exc))
        except Exception:  # a thread's outermost handler: without the vector, words alone are searched by
            logger.exception("a question's embedding broke")


# A service that was too slow once is likely to be so again, and each try delays a search and is paid.
PAUSE_S = 60.0


class BackgroundRerank:
    """One call of a reranker, in a thread of its own.

    One that was given up is remembered for the worker: until it has ended, and for a minute, nobody else should ask. So a
    service which hangs has a thread for each search that was made at once, and not for each that was ever made.
    """

    _given_up: ClassVar["BackgroundRerank | None"] = None
    _ask_again_s: ClassVar[float] = 0.0

    def __init__(self, ask: Callable[[], list[int]]) -> None:
        self._ask = ask
        self._order: list[int] | None = None
        self._thread = threading.Thread(target=self._run, name="reordering", daemon=True)
        self._thread.start()

    @staticmethod
    def is_paused() -> bool:
        """Whether nobody should ask, for the service has let somebody wait too long."""
        hangs = BackgroundRerank._given_up is not None and BackgroundRerank._given_up._thread.is_alive()
        return hangs or time.monotonic() < BackgroundRerank._ask_again_s

    def order(self, *, timeout_s: float) -> list[int] | None:
        """Return the order, None if it is not there in time or there is none."""
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._give_up(timeout_s)
            return None
        return self._order

    def _give_up(self, waited_s: float) -> None:
        logger.warning("a reranker was too slow: it is not asked for a while", waited_s=waited_s, pause_s=PAUSE_S)
        BackgroundRerank._given_up, BackgroundRerank._ask_again_s = self, time.monotonic() + PAUSE_S

    def _run(self) -> None:
        try:
            self._order = self._ask()
        except ParleyError as exc:
            logger.warning("what was found keeps its order", problem=exc.code, reason=str(exc))
        except Exception:  # a thread's outermost handler: the order stays as it was found
            logger.exception("reranking broke")
