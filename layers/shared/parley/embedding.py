"""Vectors for a user's texts, at their expense. Where there are none to be had, search goes by words alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from parley import limits
from parley.db.halfvec import Vector
from parley.db.scope import user_scope
from parley.errors import ParleyError, Unavailable
from parley.limits import Allowance, BudgetExhausted, Payer
from parley.llm.calls import Call
from parley.llm.embedder import Purpose, batches
from parley.llm.failures import ProviderFailed
from parley.llm.model import Model
from parley.llm.models import Catalogue, NoModel
from parley.llm.providers import EmbedderFor
from parley.llm.types import Message, Request, Usage
from parley.observability import logger

# What a question is about stands at its beginning; small models read no further than this anyway.
QUERY_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Embedding:
    """The catalogue's embedding model, and what users may spend on it."""

    engine: Engine
    catalogue: Callable[[], Catalogue]
    environment: Mapping[str, str]
    embedder_for: EmbedderFor
    allowance: Allowance

    def call(self) -> Call:
        """Return a call of the role's model, yet to be made. Raises NoModel."""
        catalogue = self.catalogue()
        return Call(catalogue.roles.get("embedding", ""), catalogue.embedding(self.environment), purpose="embedding")

    def paid(self, texts: Sequence[str], *, payer: Payer, purpose: Purpose = "document") -> list[Vector] | None:
        """Return a vector for each text; None if there are none to be had now: no model, no money, or a service that fails.

        Two short transactions, before and after the call.
        """
        try:
            call = self.call()
            reservation = self._reserve(call.model, texts, payer)
        except (NoModel, BudgetExhausted, Unavailable) as exc:
            _note(exc)
            return None
        try:
            return self.run(call, texts, purpose=purpose)
        except (ProviderFailed, Unavailable) as exc:
            _note(exc)
            return None
        finally:
            with user_scope(self.engine, payer.user_id) as connection:
                limits.settle(connection, payer, [call], reservations=[reservation], purpose="embedding")

    def query(self, text: str, *, user_id: UUID, api_key_id: UUID | None = None) -> Vector | None:
        """Return the vector of a question, None if there is none to be had now."""
        found = self.paid([text[:QUERY_CHARACTERS]], payer=Payer(user_id, api_key_id), purpose="query") if text.strip() else None
        return found[0] if found else None

    def run(self, call: Call, texts: Sequence[str], *, purpose: Purpose) -> list[Vector]:
        """Embed the texts and note in `call` what it took; whoever called pays. Raises ProviderFailed and Unavailable."""
        embedder, vectors = self.embedder_for(call.model), list[Vector]()
        try:
            for batch in batches(embedder, texts):
                part = embedder.embed_batch(call.model.name, batch, purpose=purpose)
                vectors += [Vector(call.model.name, numbers) for numbers in part.vectors]
                call.usage = Usage(call.usage.input_tokens + part.input_tokens, is_estimated=call.usage.is_estimated or part.is_estimated)
        except ProviderFailed as exc:
            call.error_code = exc.code
            raise
        call.status = "completed"
        return vectors

    def _reserve(self, model: Model, texts: Sequence[str], payer: Payer) -> limits.Reservation:
        amount_usd = limits.worst_usd([model], Request([Message("user", text) for text in texts]))
        with user_scope(self.engine, payer.user_id) as connection:
            return limits.reserve(connection, payer, self.allowance, amount_usd=amount_usd)


def _note(exc: ParleyError) -> None:
    logger.warning("texts have no vectors for now", problem=exc.code, reason=str(exc))
