"""The vector of a question, computed beside a turn's beginning."""

import threading

from parley.db.halfvec import Vector
from parley.embedding import QUERY_CHARACTERS, Embedding
from parley.errors import ParleyError
from parley.llm.calls import Call
from parley.observability import logger


class Recollection:
    """One call of the embedding model, in a thread of its own. `call` is what is to be paid for, whatever became of it."""

    def __init__(self, embedding: Embedding, call: Call, text: str) -> None:
        self.call = call
        self._embedding, self._text = embedding, text[:QUERY_CHARACTERS]
        self._vector: Vector | None = None
        self._thread = threading.Thread(target=self._embed, daemon=True)
        self._thread.start()

    @property
    def is_under_way(self) -> bool:
        """Whether the service has not answered yet."""
        return self._thread.is_alive()

    def vector(self, *, timeout_s: float) -> Vector | None:
        """Return the vector, None if it is not there in time or there is none."""
        self._thread.join(timeout_s)
        return self._vector

    def _embed(self) -> None:
        try:
            (self._vector,) = self._embedding.run(self.call, [self._text], purpose="query")
        except ParleyError as exc:
            logger.warning("a question has no vector", problem=exc.code, reason=str(exc))
        except Exception:  # a thread's outermost handler: without the vector, words alone are searched by
            logger.exception("a question's embedding broke")
