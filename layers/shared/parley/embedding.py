"""Vectors that a user pays for: the catalogue's embedding model, within the user's limits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from parley import limits
from parley.db.scope import user_scope
from parley.limits import Allowance, Payer
from parley.llm.calls import Call
from parley.llm.embedder import Purpose, batches
from parley.llm.failures import ProviderFailed
from parley.llm.models import Catalogue, NoModel
from parley.llm.providers import EmbedderFor
from parley.llm.types import Message, Request, Usage


@dataclass(frozen=True, slots=True)
class Vectors:
    """One vector for each text, in order, and the id of the model that made them: others cannot be compared with them."""

    model_id: str
    vectors: list[list[float]]


class Embedding:
    """Makes vectors; made once for each worker."""

    def __init__(
        self,
        engine: Engine,
        catalogue: Callable[[], Catalogue],
        embedder_for: EmbedderFor,
        environment: Mapping[str, str],
        allowance: Allowance,
    ) -> None:
        self._engine, self._catalogue, self._embedder_for = engine, catalogue, embedder_for
        self._environment, self._allowance = environment, allowance

    def model_id(self) -> str | None:
        """Return the id of the model that makes the vectors now; None where there is none."""
        try:
            self._catalogue().embedding(self._environment)
        except NoModel:
            return None
        return self._catalogue().roles["embedding"]

    def embed(self, texts: Sequence[str], *, user_id: UUID, purpose: Purpose) -> Vectors:
        """Embed texts and have the user pay for them, also for what came before a failure.

        Raises NoModel, BudgetExhausted, Unavailable and ProviderFailed or a kind of it.
        """
        catalogue = self._catalogue()
        call, payer = Call(catalogue.roles.get("embedding", ""), catalogue.embedding(self._environment)), Payer(user_id)
        amount_usd = limits.worst_usd([call.model], Request([Message("user", text) for text in texts]))
        with user_scope(self._engine, user_id) as connection:
            reservation = limits.reserve(connection, payer, self._allowance, amount_usd=amount_usd)
        try:
            return Vectors(call.model_id, list(self._batches(call, texts, purpose)))
        finally:
            with user_scope(self._engine, user_id) as connection:
                limits.settle(connection, payer, [call], reservations=[reservation], purpose="embedding")

    def _batches(self, call: Call, texts: Sequence[str], purpose: Purpose) -> Iterator[list[float]]:
        """Yield the vectors and note in `call` what was counted for them."""
        embedder = self._embedder_for(call.model)
        try:
            for batch in batches(embedder, texts):
                part = embedder.embed_batch(call.model.name, batch, purpose=purpose)
                used = call.usage.input_tokens + part.input_tokens
                call.usage = Usage(used, is_estimated=call.usage.is_estimated or part.is_estimated)
                yield from part.vectors
        except ProviderFailed as exc:
            call.error_code = exc.code
            raise
        call.status = "completed"
