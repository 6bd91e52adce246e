"""The vector of a question, computed beside other work, and waited for no longer than it is worth."""

import threading
from collections.abc import Callable

from parley.db.halfvec import Vector
from parley.errors import ParleyError
from parley.llm.calls import Call
from parley.observability import logger


class Recollection:
    """One call of the embedding model, in a thread of its own. `call` is what is to be paid for, whatever became of it."""

    def __init__(self, call: Call, embed: Callable[[], list[Vector]]) -> None:
        self.call = call
        self._embed = embed
        self._vector: Vector | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_under_way(self) -> bool:
        """Whether the service has not answered yet."""
        return self._thread.is_alive()

    def vector(self, *, timeout_s: float) -> Vector | None:
        """Return the vector, None if it is not there in time or there is none."""
        self._thread.join(timeout_s)
        return self._vector

    def _run(self) -> None:
        try:
            (self._vector,) = self._embed()
        except ParleyError as exc:
            logger.warning("a question has no vector", problem=exc.code, reason=str(exc))
        except Exception:  # a thread's outermost handler: without the vector, words alone are searched by
            logger.exception("a question's embedding broke")
