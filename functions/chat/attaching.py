"""A question's images, stored before its turn begins: a turn that began has them, and one that did not leaves none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from functions.chat.beginning import begin
from functions.chat.desk import Desk
from functions.chat.images import Images, Kept
from functions.chat.question import Question
from functions.chat.running import Turn
from parley.auth.principal import Principal
from parley.db.turn.turn_begin import ExistingTurn, IdempotencyKey
from parley.deadline import Deadline
from parley.llm.messages import Image

MOST_IMAGES = 5


def begin_with_images(
    services: Desk, principal: Principal, question: Question, *, deadline: Deadline, idempotency_key: IdempotencyKey | None
) -> Turn | ExistingTurn:
    """Store what the question brings, and begin. Raises NotFound for an image that is not the user's, and what `begin` raises."""
    if not question.attached:
        return begin(services, principal, question, deadline=deadline, idempotency_key=idempotency_key)
    earlier = {id: services.images.find(id, user_id=principal.user_id) for id in question.attached if not isinstance(id, Image)}
    with _put_back(services.images) as put:
        known: dict[str, bytes | None] = {}
        parts = []
        for attached in question.attached:
            if isinstance(attached, Image):
                put.append(kept := services.images.put(attached, user_id=principal.user_id))
                known[kept.key] = attached.data
            parts.append((kept if isinstance(attached, Image) else earlier[attached]).part())
        begun = begin(services, principal, replace(question, images=parts, attached=()), deadline=deadline, idempotency_key=idempotency_key)
        if isinstance(begun, Turn):
            put.clear()
            begun.pictures.update(known)
        return begun


@contextmanager
def _put_back(images: Images) -> Iterator[list[Kept]]:
    """Delete again, in the end, what stands in the list."""
    put: list[Kept] = []
    try:
        yield put
    finally:
        for kept in put:
            images.discard(kept)
