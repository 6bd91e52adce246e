"""The vector of a question, computed beside other work, and waited for no longer than it is worth."""

import threading
from collections.abc import Callable
from typing import ClassVar, Self

from parley.db.halfvec import Vector
from parley.errors import ParleyError
from parley.llm.calls import Call
from parley.observability import logger


class Recollection:
    """One call of the embedding model, in a thread of its own. `call` is what is to be paid for, whatever became of it.

    One that was given up, and has not ended yet, is remembered for the worker: until it ends, `begin` begins no other, so
    that a service which hangs has a thread for each question that was asked at once, and not for each that was ever asked.
    """

    _given_up: ClassVar["Recollection | None"] = None

    def __init__(self, call: Call, embed: Callable[[], list[Vector]]) -> None:
        self.call = call
        self._embed = embed
        self._vector: Vector | None = None
        self._thread = threading.Thread(target=self._run, name="recollection", daemon=True)
        self._thread.start()

    @classmethod
    def begin(cls, call: Call, embed: Callable[[], list[Vector]]) -> Self | None:
        """Begin a call; None while one that was given up still hangs."""
        return None if cls.hangs() else cls(call, embed)

    @staticmethod
    def hangs() -> bool:
        """Whether the service has not answered yet to somebody who waits no more."""
        return Recollection._given_up is not None and Recollection._given_up.is_under_way

    @property
    def is_under_way(self) -> bool:
        """Whether the service has not answered yet."""
        return self._thread.is_alive()

    def vector(self, *, timeout_s: float) -> Vector | None:
        """Return the vector, None if it is not there in time or there is none."""
        self._thread.join(timeout_s)
        if self.is_under_way:
            Recollection._given_up = self
        return self._vector

    def _run(self) -> None:
        try:
            (self._vector,) = self._embed()
        except ParleyError as exc:
            logger.warning("a question has no vector", problem=exc.code, reason=str(exc))
        except Exception:  # a thread's outermost handler: without the vector, words alone are searched by
            logger.exception("a question's embedding broke")
