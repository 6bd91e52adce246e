"""Tab: completion of commands, ids, models and templates, and its installation."""

import pytest
from click.testing import CliRunner

from cli.main import main
from tests.cli import replies


@pytest.fixture
def tab(server, monkeypatch):
    """Return a function that completes a command line and returns the offers."""

    def tab(*words):
        line = " ".join(("parley", *words))
        environment = {"_PARLEY_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
        result = CliRunner(mix_stderr=False).invoke(main, env=environment, prog_name="parley")
        return [offer.partition(",")[2] for offer in result.stdout.splitlines() if offer]

    return tab


def test_commands_are_offered(tab):
    assert tab("mem") == ["memories"]


def test_conversations_are_offered_by_their_short_ids(tab, server, alice):
    items = [
        {"id": "0190a1b2-0000-7000-8000-0000deadbeef", "title": "Foxes"},
        {"id": "0190a1b2-0000-7000-8000-0000aaaabbbb", "title": "Hens"},
    ]
    server.on("GET /conversations", replies.reply(200, {"items": items, "next_cursor": None}))

    assert tab("history", "de") == ["deadbeef"]


def test_models_are_offered(tab, server, alice):
    server.on("GET /models", replies.reply(200, [{"id": "offline", "provider": "offline"}, {"id": "gpt", "provider": "openai"}]))

    assert tab("chat", "--model", "o") == ["offline"]


def test_templates_are_offered(tab, config):
    (config / "templates").mkdir(parents=True)
    (config / "templates" / "summary.toml").write_text('prompt = "x"')

    assert tab("chat", "-t", "s") == ["summary"]


def test_without_a_session_no_id_is_offered(tab):
    assert tab("history", "d") == []


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/parley"),
        ("zsh", ".zfunc/_parley"),
        ("fish", ".config/fish/completions/parley.fish"),
    ],
)
def test_the_script_is_installed_where_the_shell_finds_it(parley, monkeypatch, tmp_path, shell, place):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    result = parley("completion", shell, "--install")

    assert str(tmp_path / place) in result.stdout
    assert "_PARLEY_COMPLETE" in (tmp_path / place).read_text()


def test_the_script_is_printed_for_eval(parley):
    assert "complete -o nosort" in parley("completion", "bash").stdout
