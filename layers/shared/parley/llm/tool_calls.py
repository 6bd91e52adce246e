"""Tool calls that come in pieces."""

import json
from dataclasses import dataclass, field

from parley.llm.failures import ProviderFailed
from parley.llm.types import ToolCall


@dataclass(slots=True)
class _Pieces:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ToolCalls:
    """Gathers calls by the vendor's index until the answer has ended."""

    def __init__(self) -> None:
        self._by_index: dict[int, _Pieces] = {}

    def __bool__(self) -> bool:
        return bool(self._by_index)

    def add(self, index: int, *, id: str | None = None, name: str | None = None, arguments: str | None = None) -> None:
        """Note a piece; id and name come once, arguments in any number of pieces."""
        call = self._by_index.setdefault(index, _Pieces())
        call.id, call.name = id or call.id, name or call.name
        if arguments:
            call.arguments.append(arguments)

    def whole(self, provider: str) -> list[ToolCall]:
        """Return the calls in order. Raises ProviderFailed if one is not whole."""
        return [
            ToolCall(call.id or f"call_{index}", call.name, checked_arguments(provider, "".join(call.arguments)))
            for index, call in sorted(self._by_index.items())
            if call.name or call.arguments
        ]


def checked_arguments(provider: str, text: str) -> str:
    """Return the text of a JSON object; none at all means an empty one. Raises ProviderFailed for anything else."""
    try:
        if isinstance(json.loads(text or "{}"), dict):
            return text or "{}"
    except ValueError:
        pass
    raise ProviderFailed(provider, "a tool call whose arguments are no JSON object")
