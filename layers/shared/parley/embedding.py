"""Vectors for a user's texts, at their expense. Where there are none to be had, search goes by words alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Engine

from parley import limits
from parley.db.halfvec import Vector
from parley.db.scope import user_scope
from parley.errors import ParleyError, Unavailable
from parley.limits import Allowance, BudgetExhausted, Payer
from parley.llm.calls import Call
from parley.llm.embedder import Embedded, Embedder, Purpose, batches
from parley.llm.failures import ProviderFailed
from parley.llm.live_catalogue import LiveCatalogue
from parley.llm.model import Model
from parley.llm.models import Catalogue, NoModel
from parley.llm.providers import EmbedderFor, Providers
from parley.llm.tokens import estimate_tokens
from parley.llm.types import Message, Request, Usage
from parley.observability import logger
from parley.recollection import Recollection
from parley.settings import ModelSettings

# What a question is about stands at its beginning; small models read no further than this anyway.
QUERY_CHARACTERS = 2000
# Whoever searches would rather see what has the same words.
QUERY_S = 3.0


@dataclass(frozen=True, slots=True)
class Embedding:
    """The catalogue's embedding model, and what users may spend on it."""

    engine: Engine
    catalogue: Callable[[], Catalogue]
    environment: Mapping[str, str]
    embedder_for: EmbedderFor
    allowance: Allowance

    @classmethod
    def of(cls, settings: ModelSettings, engine: Engine, environment: Mapping[str, str]) -> Self:
        """Make it for a function that calls no other models; `environment` has the vendors' keys."""
        return cls(engine, LiveCatalogue.of(settings), environment, Providers(environment).embedder, Allowance.of(settings))

    def call(self) -> Call:
        """Return a call of the role's model, yet to be made. Raises NoModel."""
        catalogue = self.catalogue()
        return Call(catalogue.roles.get("embedding", ""), catalogue.embedding(self.environment), purpose="embedding")

    def model_name(self) -> str | None:
        """Return by which model's name vectors are kept that are made now; None where there is no model."""
        try:
            return self.call().model.name
        except NoModel:
            return None

    def vectors(self, texts: Sequence[str], *, payer: Payer, purpose: Purpose = "document") -> list[Vector]:
        """Return a vector for each text, as `paid` does. Raises NoModel, BudgetExhausted, Unavailable and ProviderFailed."""
        call = self.call()
        reservation = self._reserve(call.model, texts, payer)
        try:
            return self.run(call, texts, purpose=purpose)
        finally:
            self._settle([call], reservation, payer)

    def paid(self, texts: Sequence[str], *, payer: Payer, purpose: Purpose = "document") -> list[Vector] | None:
        """Return a vector for each text; None if there are none to be had now: no model, no money, or a service that fails.

        Two short transactions, before and after the call.
        """
        try:
            return self.vectors(texts, payer=payer, purpose=purpose)
        except (NoModel, BudgetExhausted, ProviderFailed, Unavailable) as exc:
            _note(exc)
            return None

    def query(self, text: str, *, payer: Payer) -> Vector | None:
        """Return the vector of a question, None if there is none to be had within `QUERY_S` seconds.

        While an earlier question still hangs there is none at once, and nothing is paid.
        """
        if not text.strip() or Recollection.hangs() or (prepared := self._prepared([text[:QUERY_CHARACTERS]], payer)) is None:
            return None
        call, reservation = prepared
        recollection = self.recollection(call, text)
        vector = recollection.vector(timeout_s=QUERY_S) if recollection else None
        self._settle([call] if recollection else [], reservation, payer)
        return vector

    def recollection(self, call: Call, text: str) -> Recollection | None:
        """Begin to embed a question in a thread, unless an earlier one hangs; whoever called pays."""
        return Recollection.begin(call, lambda: self.run(call, [text[:QUERY_CHARACTERS]], purpose="query"))

    def run(self, call: Call, texts: Sequence[str], *, purpose: Purpose) -> list[Vector]:
        """Embed the texts and note in `call` what it took; whoever called pays. Raises ProviderFailed and Unavailable.

        What is under way stands in `call` by an estimate: who does not wait for its end pays for that.
        """
        embedder, vectors = self.embedder_for(call.model), list[Vector]()
        try:
            for batch in batches(embedder, texts):
                part = _embedded(embedder, call, batch, purpose)
                vectors += [Vector(call.model.name, numbers) for numbers in part.vectors]
        except ProviderFailed as exc:
            call.error_code = exc.code
            raise
        call.status = "completed"
        return vectors

    def _prepared(self, texts: Sequence[str], payer: Payer) -> tuple[Call, limits.Reservation] | None:
        try:
            call = self.call()
            return call, self._reserve(call.model, texts, payer)
        except (NoModel, BudgetExhausted, Unavailable) as exc:
            _note(exc)
            return None

    def _settle(self, calls: Sequence[Call], reservation: limits.Reservation, payer: Payer) -> None:
        with user_scope(self.engine, payer.user_id) as connection:
            limits.settle(connection, payer, calls, reservations=[reservation], purpose="embedding")

    def _reserve(self, model: Model, texts: Sequence[str], payer: Payer) -> limits.Reservation:
        amount_usd = limits.worst_usd([model], Request([Message("user", text) for text in texts]))
        with user_scope(self.engine, payer.user_id) as connection:
            return limits.reserve(connection, payer, self.allowance, amount_usd=amount_usd)


def _embedded(embedder: Embedder, call: Call, batch: Sequence[str], purpose: Purpose) -> Embedded:
    before = call.usage
    call.usage = Usage(before.input_tokens + sum(map(estimate_tokens, batch)), is_estimated=True)
    try:
        part = embedder.embed_batch(call.model.name, batch, purpose=purpose)
    except Exception:
        call.usage = before
        raise
    call.usage = Usage(before.input_tokens + part.input_tokens, is_estimated=before.is_estimated or part.is_estimated)
    return part


def _note(exc: ParleyError) -> None:
    logger.warning("texts have no vectors for now", problem=exc.code, reason=str(exc))
