from decimal import Decimal
from pathlib import Path

import pytest

from parley.llm.catalogue import Catalogue, CatalogueInvalid, ModelNotFound, NoModel
from parley.llm.errors import ModelCannot
from parley.llm.messages import Image, Message, ModelRequest, OutputSchema, ToolDefinition, Usage
from parley.llm.model import Model

TWO = """
[roles]
chat = "best"
[strategies.best]
kind = "fallback"
models = ["real", "spare"]
[models.real]
provider = "openai"
name = "big"
api_key = "env:BIG_KEY"
[models.spare]
provider = "offline"
name = "offline"
"""


def catalogue(tmp_path: Path, text: str = TWO) -> Catalogue:
    path = tmp_path / "models.toml"
    path.write_text(text)
    return Catalogue.load(path)


def test_the_shipped_catalogue_answers_offline_until_a_key_exists():
    shipped = Catalogue.load()

    assert shipped.ordered(environment={})[0] == "offline"
    assert shipped.models[shipped.ordered(environment={"OPENAI_API_KEY": "k"})[0]].provider == "openai"


def test_a_fallback_uses_the_first_available_model(tmp_path):
    assert catalogue(tmp_path).ordered(environment={"BIG_KEY": "k"})[0] == "real"
    assert catalogue(tmp_path).ordered(environment={})[0] == "spare"


def test_an_empty_key_is_a_missing_key(tmp_path):
    assert catalogue(tmp_path).ordered(environment={"BIG_KEY": ""})[0] == "spare"


def test_an_unknown_model_is_refused_with_the_available_ones(tmp_path):
    with pytest.raises(ModelNotFound) as caught:
        catalogue(tmp_path).ordered("gpt-99", environment={})

    assert caught.value.public_message == "Unknown or unavailable model 'gpt-99'. Available models: spare, best."


def test_a_model_without_its_key_is_not_available(tmp_path):
    with pytest.raises(ModelNotFound):
        catalogue(tmp_path).ordered("real", environment={})


def test_weights_divide_the_traffic(tmp_path):
    text = TWO.replace('kind = "fallback"', 'kind = "weighted"\nweights = [0, 1]')

    assert {catalogue(tmp_path, text).ordered(environment={"BIG_KEY": "k"})[0] for _ in range(20)} == {"spare"}


def test_a_user_stays_with_the_model_that_was_drawn_for_them(tmp_path):
    text = TWO.replace('kind = "fallback"', 'kind = "weighted"\nweights = [3, 1]')
    drawn = [catalogue(tmp_path, text).ordered(environment={"BIG_KEY": "k"}, subject=f"user {n % 400}")[0] for n in range(800)]

    assert drawn[:400] == drawn[400:]
    assert 250 < drawn[:400].count("real") < 350


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ('chat = "best"', 'chat = "nothing"', "roles.chat: unknown model or strategy: nothing"),
        ('"real", "spare"', '"real", "spair"', "line 6: strategies.best.models: unknown model: spair"),
        ('provider = "openai"', 'provider = "opnai"', "models.real.provider"),
        ('api_key = "env:BIG_KEY"', 'api_key = "sk-the-key-itself"', "models.real.api_key"),
        ('name = "big"', 'nmae = "big"', "models.real.nmae"),
        ("[models.real]", "[models.real", "line"),
        ('kind = "fallback"', 'kind = "weighted"\nweights = [1]', "number per model"),
        ('kind = "fallback"', 'kind = "weighted"\nweights = [0, 0]', "not all zero"),
        ('chat = "best"', 'summary = "best"', "roles.chat"),
        ('name = "big"', 'api = "converse"\nname = "big"', "line 9: models.real: api: openai does not support 'converse'"),
        ('name = "big"', "name = 7", "line 9: models.real.name"),
        ('name = "big"\n', "", "line 7: models.real.name: Field required"),
        ('name = "big"', 'name = "big"\nkind = "embedding"', "line 7: models.real: dimensions"),
        ('"real", "spare"', '"real", "real"', "line 6: strategies.best: models: must not contain duplicates"),
        ('kind = "fallback"', 'kind = "fixed"', "line 6: strategies.best: models: a fixed strategy must name exactly one model"),
        ('kind = "fallback"', 'kind = "cheapest"', "line 5: strategies.best.kind"),
        ('chat = "best"', 'chat = "best"\nembedding = "spare"', "line 4: roles.embedding: spare is a chat model"),
        ('chat = "best"', 'chat = "best"\nrerank = "spare"', "line 4: roles.rerank: spare is a chat model"),
        ('chat = "best"', 'chat = "best"\nrerank = "best"', "line 4: roles.rerank: must name a model"),
        ('name = "big"', 'name = "big"\nkind = "rerank"', "line 10: models.real: kind: openai does not support rerank"),
        ('chat = "best"', 'chat = "best"\npoem = "spare"', "line 4: roles.poem"),
        ("[strategies.best]", "[strategies.real]", "line 4: strategies.real: a model has the same name"),
    ],
)
def test_a_mistake_is_reported_with_its_file_and_line(tmp_path, wrong, right, message):
    with pytest.raises(CatalogueInvalid) as caught:
        catalogue(tmp_path, TWO.replace(wrong, right))
    assert "models.toml" in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CatalogueInvalid, match=r"nowhere\.toml"):
        Catalogue.load(tmp_path / "nowhere.toml")


def test_cached_tokens_have_their_own_price():
    model = Model(
        provider="openai",
        name="m",
        input_usd_per_mtok=Decimal(2),
        cached_input_usd_per_mtok=Decimal("0.5"),
        output_usd_per_mtok=Decimal(10),
    )

    assert model.cost_usd(Usage(input_tokens=1000, output_tokens=100, cached_input_tokens=400)) == Decimal("0.0024")


def test_a_role_without_a_model_is_not_blamed_on_the_request(tmp_path):
    text = TWO.replace('"real", "spare"', '"real"')

    with pytest.raises(NoModel):
        catalogue(tmp_path, text).ordered(environment={})
    assert catalogue(tmp_path, text).default({}) is None


def test_all_mistakes_are_reported_together(tmp_path):
    with pytest.raises(CatalogueInvalid, match="line 9.*line 12"):
        catalogue(tmp_path, TWO.replace('name = "big"', "name = 7").replace('"offline"\nname', '"ofline"\nname'))


def test_the_other_models_of_a_weighted_strategy_are_fallbacks(tmp_path):
    text = TWO.replace('kind = "fallback"', 'kind = "weighted"\nweights = [0, 1]')

    assert catalogue(tmp_path, text).ordered(environment={"BIG_KEY": "k"}) == ["spare", "real"]


def test_an_omitted_role_uses_the_chat_models(tmp_path):
    assert catalogue(tmp_path).ordered(role="title", environment={}) == ["spare"]


def test_a_secret_is_assumed_to_exist(tmp_path):
    assert catalogue(tmp_path, TWO.replace("env:BIG_KEY", "secret:parley/big")).ordered(environment={})[0] == "real"


def test_an_unsupported_request_is_refused_before_any_call():
    plain = Model(provider="offline", name="m", fixed_temperature=True)
    image = [Message("user", [Image("image/png", b"x")])]
    requests = {
        "tools": ModelRequest([], tools=[ToolDefinition("t", "T.", {})]),
        "images": ModelRequest(image),
        "JSON schema": ModelRequest([], output=OutputSchema("o", {})),
        "temperature": ModelRequest([], temperature=0.5),
    }
    for words, request in requests.items():
        with pytest.raises(ModelCannot, match=words):
            plain.check(request, id="plain")


def test_tokens_written_to_a_cache_have_their_own_price():
    model = Model(provider="anthropic", name="m", input_usd_per_mtok=Decimal(2), cache_write_usd_per_mtok=Decimal("2.5"))

    assert model.cost_usd(Usage(1000, 0, cache_write_tokens=400)) == Decimal("0.0022")


@pytest.mark.parametrize(
    ("environment", "model"),
    [
        ({}, "lexical"),
        ({"PARLEY_EMBEDDER_FUNCTION": "embedder"}, "builtin"),
        ({"PARLEY_EMBEDDER_FUNCTION": "embedder", "MISTRAL_API_KEY": "k"}, "mistral-embedding"),
        ({"PARLEY_EMBEDDER_FUNCTION": "embedder", "MISTRAL_API_KEY": "k", "OPENAI_API_KEY": "k"}, "openai-embedding"),
        ({"PARLEY_EMBEDDER_FUNCTION": "embedder", "ANTHROPIC_API_KEY": "k"}, "builtin"),
    ],
)
def test_the_shipped_catalogue_embeds_with_a_vendors_key_or_else_with_the_builtin_model(environment, model):
    assert Catalogue.load().embedding(environment)[0] == model


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ('kind = "fallback"\nmodels = ["vectors", "spare"]', "not an embedding model: spare"),
        ('kind = "weighted"\nmodels = ["vectors"]', "must not name a weighted strategy"),
    ],
)
def test_a_strategy_of_embedding_models_must_not_mix_vectors(tmp_path, strategy, message):
    text = TWO.replace('chat = "best"', 'chat = "best"\nembedding = "nearest"')
    text += f'\n[strategies.nearest]\n{strategy}\n[models.vectors]\nprovider = "offline"\nname = "v"\nkind = "embedding"\ndimensions = 3\n'

    with pytest.raises(CatalogueInvalid, match=message):
        Catalogue.parse(text, source="models.toml")


def test_every_shipped_model_is_available_only_with_its_key():
    shipped = Catalogue.load()
    keys = {model.api_key.removeprefix("env:"): "k" for model in shipped.models.values() if model.api_key}

    assert set(shipped.available({})) == {"offline"}
    assert set(shipped.available(keys)) == {id for id, model in shipped.models.items() if model.kind == "chat"}
    assert all(model.input_usd_per_mtok > 0 for model in shipped.models.values() if model.api_key)
