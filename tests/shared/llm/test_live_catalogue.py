"""A catalogue that changes while it is in use."""

import logging
import os

import boto3
import pytest

from parley.llm.catalogue import Catalogue, CatalogueInvalid
from parley.llm.live_catalogue import FileSource, LiveCatalogue, ParameterSource
from parley.llm.messages import Message, ModelRequest, TextDelta
from parley.llm.provider_registry import ProviderRegistry
from parley.settings import CatalogueSettings
from tests.fakes.vendor import running_vendor
from tests.fakes.wire_formats.anthropic import ANTHROPIC
from tests.fakes.wire_formats.chat import OPENAI

OFFLINE = '[roles]\nchat = "one"\n[models.one]\nprovider = "offline"\nname = "offline"\n'
OTHER = OFFLINE.replace("one", "another")
NAME = "/parley/test/models"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models.toml"
    path.write_text(OFFLINE)
    return path


@pytest.fixture
def parameter():
    client = boto3.client("ssm")
    client.put_parameter(Name=NAME, Value=OFFLINE, Type="String")
    yield lambda text: client.put_parameter(Name=NAME, Value=text, Type="String", Overwrite=True)
    client.delete_parameter(Name=NAME)


@pytest.fixture
def clock():
    return {"now_s": 1000.0}


def from_parameter(clock):
    return LiveCatalogue(ParameterSource(NAME, now_s=lambda: clock["now_s"]), first=Catalogue.load())


def test_a_changed_file_takes_effect_without_a_restart(file):
    catalogue = LiveCatalogue(FileSource(file))
    before = catalogue().roles["chat"]
    file.write_text(OTHER)

    assert (before, catalogue().roles["chat"]) == ("one", "another")


def test_an_invalid_change_is_rejected_with_its_line_and_the_old_catalogue_stays(file, caplog):
    catalogue = LiveCatalogue(FileSource(file))
    file.write_text(OFFLINE.replace('"offline"\nname', '"ofline"\nname'))
    with caplog.at_level(logging.ERROR):
        assert catalogue().roles["chat"] == "one"

    assert "line 4: models.one.provider" in str([vars(record) for record in caplog.records])


def test_a_deleted_file_leaves_the_old_catalogue(file):
    catalogue = LiveCatalogue(FileSource(file))
    file.unlink()

    assert catalogue().roles["chat"] == "one"


def test_a_file_that_is_invalid_at_the_start_prevents_it(file):
    file.write_text("roles = 3")

    with pytest.raises(CatalogueInvalid):
        LiveCatalogue(FileSource(file))


def test_an_unchanged_catalogue_is_not_parsed_again(file):
    catalogue = LiveCatalogue(FileSource(file))

    assert catalogue() is catalogue()


def test_the_parameter_replaces_the_shipped_catalogue(parameter, clock):
    assert from_parameter(clock)().roles["chat"] == "one"


def test_a_parameter_may_be_encrypted(parameter, clock):
    boto3.client("ssm").put_parameter(Name=NAME, Value=OTHER, Type="SecureString", Overwrite=True)

    assert from_parameter(clock)().roles["chat"] == "another"


def test_a_changed_parameter_takes_effect_after_a_minute_and_is_not_fetched_before(parameter, clock):
    catalogue = from_parameter(clock)
    parameter(OTHER)
    clock["now_s"] += 59
    before = catalogue().roles["chat"]
    clock["now_s"] += 1

    assert (before, catalogue().roles["chat"]) == ("one", "another")


def test_an_invalid_parameter_leaves_the_old_catalogue_until_it_is_corrected(parameter, clock):
    catalogue = from_parameter(clock)
    parameter("[roles")
    clock["now_s"] += 60
    before = catalogue().roles["chat"]
    parameter(OTHER)
    clock["now_s"] += 60

    assert (before, catalogue().roles["chat"]) == ("one", "another")


def test_a_deleted_and_recreated_parameter_takes_effect(parameter, clock):
    catalogue = from_parameter(clock)
    boto3.client("ssm").delete_parameter(Name=NAME)
    parameter(OTHER)
    clock["now_s"] += 60

    assert catalogue().roles["chat"] == "another"


def test_a_missing_parameter_leaves_the_shipped_catalogue(clock):
    assert from_parameter(clock)().models.keys() == Catalogue.load().models.keys()


SWITCH = """
[roles]
chat = "gpt"
[models.gpt]
provider = "openai"
name = "gpt"
base_url = "{openai}/v1"
api_key = "env:A_KEY"
[models.claude]
provider = "anthropic"
name = "claude"
base_url = "{anthropic}"
api_key = "env:A_KEY"
[models.local]
provider = "openai-compatible"
name = "local"
base_url = "{local}/v1"
"""


def test_switching_the_vendor_takes_one_changed_word_and_no_restart(file):
    environment = {"A_KEY": "k"}
    with running_vendor() as openai, running_vendor() as anthropic, running_vendor() as local:
        for wire, vendor, text in [(OPENAI, openai, "gpt"), (ANTHROPIC, anthropic, "claude"), (OPENAI, local, "local")]:
            wire.plays(vendor, wire.texts(f"I am {text}"))
        written = SWITCH.format(openai=openai.root, anthropic=anthropic.root, local=local.root)
        file.write_text(written)
        catalogue, providers = LiveCatalogue(FileSource(file)), openai.closing(ProviderRegistry(environment))
        answers = []
        for word in ("gpt", "claude", "local"):
            file.write_text(written.replace('chat = "gpt"', f'chat = "{word}"'))
            os.utime(file)
            model = catalogue().models[catalogue().ordered(environment=environment)[0]]
            answers.append(next(providers(model).stream(model.name, ModelRequest([Message("user", "who?")]))))

        assert answers == [TextDelta("I am gpt"), TextDelta("I am claude"), TextDelta("I am local")]


BOTH = """
[roles]
chat = "best"
title = "{title}"
[strategies.best]
kind = "fallback"
models = ["real", "offline"]
[models.real]
provider = "openai"
name = "gpt"
api_key = "env:SOME_KEY"
[models.offline]
provider = "offline"
name = "offline"
"""


def available_with(policy, file, environment, *, title="best"):
    file.write_text(BOTH.format(title=title))
    settings = CatalogueSettings.read({"PARLEY_MODELS_FILE": str(file), "PARLEY_MODELS_PARAMETER": "", "PARLEY_OFFLINE_MODEL": policy})
    return set(LiveCatalogue.of(settings)().available(environment))


KEY = {"SOME_KEY": "sk-1"}


@pytest.mark.parametrize(
    ("policy", "environment", "available"),
    [
        ("auto", {}, {"offline"}),
        ("auto", KEY, {"real"}),
        ("on", KEY, {"real", "offline"}),
        ("off", {}, set()),
    ],
)
def test_the_offline_model_is_hidden_by_the_deployments_policy(file, policy, environment, available):
    assert available_with(policy, file, environment) == available


def test_a_role_that_the_catalogue_gives_to_the_offline_model_keeps_it(file):
    assert available_with("auto", file, KEY, title="offline") == {"real", "offline"}


def test_a_changed_catalogue_keeps_the_policy(file):
    file.write_text(OFFLINE)
    catalogue = LiveCatalogue(FileSource(file), offline_model="off")
    file.write_text(OTHER)

    assert catalogue().available({}) == {}
