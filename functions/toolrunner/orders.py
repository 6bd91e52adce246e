"""What the tool runner is told to do."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from parley.tools.spec import LONGEST_TIMEOUT_S


class _Order(BaseModel):
    # What a user wrote is in there, and errors are logged.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ListOrder(_Order):
    """Say what there is."""

    op: Literal["list"]


class RunOrder(_Order):
    """Run a tool for a user, whom the caller names: not the model, nor anybody's arguments."""

    op: Literal["run"]
    name: str
    arguments: dict[str, Any]
    user_id: UUID
    timeout_s: Annotated[float, Field(gt=0, le=LONGEST_TIMEOUT_S)] = LONGEST_TIMEOUT_S


_ORDER: TypeAdapter[ListOrder | RunOrder] = TypeAdapter(Annotated[ListOrder | RunOrder, Field(discriminator="op")])


def read_order(event: dict[str, Any]) -> ListOrder | RunOrder:
    """Read the event. Raises ValidationError for one that is no order."""
    return _ORDER.validate_python(event)
