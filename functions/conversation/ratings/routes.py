"""The routes of ratings. Users read a rating with its message, and admins the ratings of all users."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from parley.db.turn import feedback
from parley.db.turn.feedback import Rating
from parley.http.dependencies import CurrentPrincipal, Transaction, requires
from parley.http.lazy_routes import LazyRoute
from parley.http.schemas import FeedbackOut, Input

ratings_router = APIRouter(route_class=LazyRoute, dependencies=[Depends(requires("conversations"))])


class FeedbackIn(Input):
    """PUT /messages/{id}/feedback."""

    rating: Rating
    reason: Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True)] | None = None


@ratings_router.put("/messages/{id}/feedback")
def rate(id: UUID, body: FeedbackIn, principal: CurrentPrincipal, transaction: Transaction) -> FeedbackOut:
    """Rate an answer. Admins see the rating and the reason, with the model and without the conversation."""
    stored = feedback.put(transaction, id, user_id=principal.user_id, rating=body.rating, reason=body.reason)
    return FeedbackOut.model_validate(stored)


@ratings_router.delete("/messages/{id}/feedback", status_code=204)
def withdraw_rating(id: UUID, principal: CurrentPrincipal, transaction: Transaction) -> None:
    """Withdraw the rating of an answer."""
    feedback.remove(transaction, id, user_id=principal.user_id)
