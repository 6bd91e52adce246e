"""The list of models, by Anthropic's SDK."""

import anthropic
import pytest


def test_the_models_and_strategies_are_listed_in_pages(sdk):
    whole = sdk.models.list(limit=1000)
    ids = [model.id for model in whole.data]

    assert {"compatible", "quick"} < set(ids)
    assert "lexical" not in ids
    assert [model.id for model in sdk.models.list(limit=3)] == ids
    assert (whole.has_more, whole.first_id, whole.last_id) == (False, ids[0], ids[-1])


def test_a_page_before_a_model_ends_there(sdk):
    ids = [model.id for model in sdk.models.list(limit=1000).data]
    page = sdk.models.list(limit=2, before_id=ids[3])

    assert ([model.id for model in page.data], page.has_more) == (ids[1:3], True)
    assert [model.id for model in page] == [*ids[1:3], ids[0]]


@pytest.mark.parametrize("cursor", ["after_id", "before_id"])
def test_a_page_beside_an_unknown_model_is_refused(sdk, cursor):
    with pytest.raises(anthropic.BadRequestError):
        sdk.models.list(**{cursor: "odd"})


def test_a_model_has_its_limits(sdk):
    model = sdk.models.retrieve("compatible")

    assert (model.id, model.type, model.display_name, model.lifecycle) == ("compatible", "model", "compatible", "active")
    assert (model.created_at.year, model.max_input_tokens > model.max_tokens > 0) == (1970, True)


def test_an_unknown_model_is_not_found(sdk):
    with pytest.raises(anthropic.NotFoundError):
        sdk.models.retrieve("claude-99")


def test_openais_clients_get_their_own_format(chat, alice):
    assert chat.get("/v1/models", as_=alice).json["object"] == "list"
