"""The catalogue's models as Anthropic's Models API lists them."""

from datetime import UTC, datetime

from functions.chat.anthropic_api.response_schemas import AnthropicModelOut, AnthropicModelsOut
from functions.chat.services import ChatServices
from parley.errors import InvalidInput
from parley.llm.catalogue import ModelNotFound

_UNKNOWN_DATE = datetime.fromtimestamp(0, UTC)  # as Anthropic's API states an unknown date


def list_models(services: ChatServices, *, limit: int, after_id: str | None, before_id: str | None) -> AnthropicModelsOut:
    """Return a page of the models and strategies that `POST /v1/messages` takes: those after a model, or the last ones before one.

    Raises InvalidInput if the model of `after_id` or `before_id` is not in the list.
    """
    models = _models(services)
    ids = list(models)
    first, end = 0, len(ids)
    if after_id is not None:
        first = _position(ids, after_id, "after_id") + 1
    if before_id is not None:
        end = _position(ids, before_id, "before_id")
    from_end = before_id is not None and after_id is None
    page = ids[first:end][-limit:] if from_end else ids[first:end][:limit]
    return AnthropicModelsOut(
        data=[models[id] for id in page],
        has_more=len(page) < len(ids[first:end]),
        first_id=page[0] if page else None,
        last_id=page[-1] if page else None,
    )


def get_model(services: ChatServices, id: str) -> AnthropicModelOut:
    """Return a model or a strategy. Raises ModelNotFound."""
    models = _models(services)
    if id not in models:
        raise ModelNotFound(id, allowed=models)
    return models[id]


def _models(services: ChatServices) -> dict[str, AnthropicModelOut]:
    catalogue, environment = services.catalogue(), services.environment
    models = {
        id: AnthropicModelOut(
            id=id, display_name=id, created_at=_UNKNOWN_DATE, max_input_tokens=model.context_tokens, max_tokens=model.max_output_tokens
        )
        for id, model in catalogue.available(environment).items()
    }
    strategies = catalogue.available_strategies(environment)
    return models | {name: AnthropicModelOut(id=name, display_name=name, created_at=_UNKNOWN_DATE) for name in strategies}


def _position(ids: list[str], id: str, field: str) -> int:
    if id not in ids:
        raise InvalidInput("must be the id of a model", loc=("query", field))
    return ids.index(id)
