"""The calls of models that were made, one by one: what is billed stands here, whatever became of the answer."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal
from uuid import UUID

from parley.ids import new_id
from parley.llm.model import Model
from parley.llm.types import Usage

type CallStatus = Literal["completed", "stopped", "interrupted", "failed"]


@dataclass(slots=True)
class Call:
    """One call. `stopped` means that we ended it, `interrupted` that it broke after its first text, `failed` before.

    A call with a `purpose` of its own is billed under it, whatever it is settled with.
    """

    model_id: str
    model: Model
    id: UUID = field(default_factory=new_id)
    status: CallStatus = "failed"
    usage: Usage = field(default_factory=Usage)
    error_code: str | None = None
    purpose: Literal["embedding", "rerank"] | None = None

    @property
    def cost_usd(self) -> Decimal:
        """Return its price by the catalogue."""
        return self.model.cost_usd(self.usage)
