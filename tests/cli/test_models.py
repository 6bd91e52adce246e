"""`parley models`: the catalogue, and the check that its models answer."""

import pytest

from tests.cli import replies

OFFLINE = {
    "id": "offline",
    "provider": "offline",
    "context_tokens": 8192,
    "abilities": ["tools", "json"],
    "default": True,
    "roles": ["chat"],
}
GPT = {"id": "gpt", "provider": "openai", "context_tokens": 400000, "abilities": [], "input_usd_per_mtok": 0.75, "output_usd_per_mtok": 4.5}
ANSWER = {"usage": {"prompt_tokens": 12, "completion_tokens": 2}}
REFUSED = {"error": {"message": "The model is not set up.", "type": "server_error", "param": None, "code": "provider_misconfigured"}}


@pytest.fixture
def models(server, alice):
    """Two models, one of which costs money."""
    server.on("GET /models", replies.reply(200, [OFFLINE | {"input_usd_per_mtok": 0.0, "output_usd_per_mtok": 0.0}, GPT]))
    server.on("POST /v1/chat/completions", replies.reply(200, ANSWER))
    return server


def asked(server):
    return [request.body["model"] for request in server.requests if request.method == "POST"]


def test_models_are_a_table_with_prices_and_roles(models, parley):
    assert parley("models").stdout.splitlines() == [
        "   model    provider  context  in     out    abilities    roles",
        "*  offline  offline   8,192    free   free   tools, json  chat",
        "   gpt      openai    400,000  $0.75  $4.50",
    ]


def test_an_older_server_without_prices_is_supported(server, alice, parley):
    server.on("GET /models", replies.reply(200, [OFFLINE]))

    assert parley("models").stdout.splitlines()[1].split() == ["*", "offline", "offline", "8,192", "tools,", "json", "chat"]


def test_an_empty_catalogue_says_where_models_are_configured(server, alice, parley):
    server.on("GET /models", replies.reply(200, []))

    assert parley("models").stdout == "No models. The server's operator configures them in models.toml.\n"


def test_a_check_calls_each_model_and_shows_its_cost(models, parley):
    result = parley("models", "check", "--yes")
    rows = [row.split() for row in result.stdout.splitlines()[1:]]

    assert (result.exit_code, asked(models)) == (0, ["offline", "gpt"])
    assert [(row[0], row[-4:]) for row in rows] == [("offline", ["12", "2", "$0.000000", "ok"]), ("gpt", ["12", "2", "$0.000018", "ok"])]


def test_a_check_that_costs_money_asks_for_confirmation(models, parley):
    refused = parley("models", "check", stdin="n\n")

    assert (refused.exit_code != 0, asked(models)) == (True, [])
    assert "Check 1 paid model for about $0.0010 at most?" in refused.stderr
    assert parley("models", "check", stdin="y\n").exit_code == 0


def test_a_check_of_the_offline_model_needs_no_confirmation(models, parley):
    assert (parley("models", "check", "--model", "offline").exit_code, asked(models)) == (0, ["offline"])


def test_a_model_that_does_not_answer_is_listed_with_the_others(models, parley):
    models.on("POST /v1/chat/completions", replies.reply(200, ANSWER), replies.reply(502, REFUSED))
    result = parley("models", "check", "--yes")

    assert result.exit_code == 1
    assert [row.split("  ")[-1].strip() for row in result.stdout.splitlines()[1:]] == ["ok", "The model is not set up."]


def test_an_unknown_model_is_reported(models, parley):
    result = parley("models", "check", "--model", "gpt-99")

    assert (result.exit_code, result.stderr) == (1, "There is no model 'gpt-99'. To list them: parley models\n")
