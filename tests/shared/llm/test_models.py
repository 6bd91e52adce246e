from decimal import Decimal
from pathlib import Path

import pytest

from parley.errors import InvalidInput
from parley.llm.models import Catalogue, CatalogueInvalid, Model, NoModel
from parley.llm.types import Usage

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


def test_the_shipped_catalogue_answers_offline_until_a_key_is_there():
    shipped = Catalogue.load()

    assert shipped.choose(environment={}) == "offline"
    assert shipped.models[shipped.choose(environment={"OPENAI_API_KEY": "k"})].provider == "openai"


def test_a_fallback_takes_the_first_model_that_can_be_called(tmp_path):
    assert catalogue(tmp_path).choose(environment={"BIG_KEY": "k"}) == "real"
    assert catalogue(tmp_path).choose(environment={}) == "spare"


def test_an_empty_key_is_no_key(tmp_path):
    assert catalogue(tmp_path).choose(environment={"BIG_KEY": ""}) == "spare"


def test_an_unknown_model_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(InvalidInput, match="spare"):
        catalogue(tmp_path).choose("gpt-99", environment={})


def test_a_model_without_its_key_cannot_be_chosen(tmp_path):
    with pytest.raises(InvalidInput):
        catalogue(tmp_path).choose("real", environment={})


def test_weights_share_the_traffic(tmp_path):
    text = TWO.replace('kind = "fallback"', 'kind = "weighted"\nweights = [0, 1]')

    assert {catalogue(tmp_path, text).choose(environment={"BIG_KEY": "k"}) for _ in range(20)} == {"spare"}


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ('chat = "best"', 'chat = "nothing"', "roles.chat: no such model or strategy: nothing"),
        ('"real", "spare"', '"real", "spair"', "strategies.best: no such model: spair"),
        ('provider = "openai"', 'provider = "opnai"', "models.real.provider"),
        ('api_key = "env:BIG_KEY"', 'api_key = "sk-the-key-itself"', "models.real.api_key"),
        ('name = "big"', 'nmae = "big"', "models.real.nmae"),
        ("[models.real]", "[models.real", "line"),
        ('kind = "fallback"', 'kind = "weighted"\nweights = [1]', "one for each model"),
        ('kind = "fallback"', 'kind = "weighted"\nweights = [0, 0]', "not all zero"),
        ('chat = "best"', 'summary = "best"', "roles.chat"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_place(tmp_path, wrong, right, message):
    with pytest.raises(CatalogueInvalid) as caught:
        catalogue(tmp_path, TWO.replace(wrong, right))
    assert "models.toml" in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CatalogueInvalid, match=r"nowhere\.toml"):
        Catalogue.load(tmp_path / "nowhere.toml")


def test_cached_tokens_are_priced_apart():
    model = Model(
        provider="openai",
        name="m",
        input_usd_per_mtok=Decimal(2),
        cached_input_usd_per_mtok=Decimal("0.5"),
        output_usd_per_mtok=Decimal(10),
    )

    assert model.cost_usd(Usage(input_tokens=1000, output_tokens=100, cached_input_tokens=400)) == Decimal("0.0024")


def test_a_model_of_a_provider_that_is_not_supported_yet_is_in_no_list(tmp_path):
    text = TWO.replace('provider = "openai"', 'provider = "anthropic"')

    assert set(catalogue(tmp_path, text).available({"BIG_KEY": "k"})) == {"spare"}


def test_without_any_model_nobody_is_blamed_for_the_one_they_named(tmp_path):
    text = TWO.replace('"real", "spare"', '"real"')

    with pytest.raises(NoModel):
        catalogue(tmp_path, text).choose(environment={})
    assert catalogue(tmp_path, text).default({}) is None
