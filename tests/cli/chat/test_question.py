"""What a question is made of: the message, piped text, files and a template."""

import pytest

from tests.cli import replies


@pytest.fixture(autouse=True)
def _answering(server, alice):
    server.on("POST /chat", replies.answer("Yes."))


@pytest.fixture
def template(config):
    def write(name, text):
        path = config / "templates" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    return write


def test_piped_text_follows_the_message(server, parley):
    parley("chat", "Review this", stdin="+ added line\n")

    assert server.requests[0].body["message"] == "Review this\n\n+ added line\n"


def test_an_empty_pipe_adds_nothing(server, parley):
    parley("chat", "Hello", stdin=" \n")

    assert server.requests[0].body["message"] == "Hello"


def test_a_file_follows_in_a_fence_below_its_name(server, parley, tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.md").write_text("````\ncode\n````\n")

    parley("chat", "Explain", "-f", str(tmp_path / "a.py"), "-f", str(tmp_path / "b.md"))

    assert server.requests[0].body["message"] == "Explain\n\na.py:\n```\nx = 1\n```\n\nb.md:\n`````\n````\ncode\n````\n`````"


def test_a_file_that_is_not_text_is_refused_with_the_remedy(server, parley, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"a\0b")

    result = parley("chat", "Explain", "-f", str(tmp_path / "a.bin"))

    assert result.exit_code == 2
    assert "parley documents add" in result.stderr
    assert server.requests == []


def test_a_template_places_the_input_and_brings_its_model(server, parley, template):
    template("short", 'prompt = "In $count words: $input It costs $5."\nmodel = "offline"\n')

    parley("chat", "-t", "short", "--value", "count=3", "Why?", stdin="text")

    assert server.requests[0].body["message"] == "In 3 words: Why?\n\ntext It costs $5."
    assert server.requests[0].body["model"] == "offline"


def test_a_template_without_a_place_for_the_input_comes_first(server, parley, template):
    template("haiku", 'prompt = "Write a haiku."')

    parley("chat", "-t", "haiku", "About rain")

    assert server.requests[0].body["message"] == "Write a haiku.\n\nAbout rain"


def test_a_missing_value_is_named(server, parley, template):
    template("short", 'prompt = "In $count words: $input"')

    assert "--value count=…" in parley("chat", "-t", "short", "Why?").stderr
    assert server.requests == []


@pytest.mark.parametrize("text", ["prompt = 3", "system = 'x'", "prompt = 'x'\nother = 'y'", "prompt ="])
def test_a_template_that_is_not_valid_is_reported(parley, template, text):
    template("bad", text)

    result = parley("chat", "-t", "bad", "Why?")

    assert result.exit_code == 1
    assert "'bad'" in result.stderr


def test_an_unknown_template_says_how_to_write_one(parley):
    assert "parley templates edit short" in parley("chat", "-t", "short", "Why?").stderr


def test_instructions_start_a_conversation_that_has_them(server, parley):
    server.on("POST /conversations", replies.reply(201, {"id": "c-7"}))

    parley("chat", "--system", "Be brief.", "--incognito", "Why?")

    assert server.requests[0].body == {"system_prompt": "Be brief.", "incognito": True}
    assert server.requests[1].body == {"message": "Why?", "stream": True, "conversation_id": "c-7"}


def test_options_of_the_turn_are_sent(server, parley):
    parley("chat", "--no-tools", "--temperature", "0", "--incognito", "-m", "offline", "Why?")

    options = {"tools": False, "temperature": 0, "incognito": True, "model": "offline"}
    assert server.requests[0].body == {"message": "Why?", "stream": True, **options}


@pytest.mark.parametrize("args", [["-c", "--system", "x"], ["--conversation", "c-1", "--incognito"], ["--json", "-x"]])
def test_options_that_contradict_each_other_are_refused(server, parley, args):
    result = parley("chat", "Why?", *args)

    assert result.exit_code == 2
    assert "cannot be combined" in result.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Here:\n```python\nx = 1\n```\nand\n```\ny\n```\n", "x = 1\n"), ("No code.", "No code.\n"), ("```\nunfinished", "unfinished\n")],
)
def test_only_the_first_code_block_is_printed(server, parley, text, shown):
    server.on("POST /chat", replies.reply(200, {"message": {"text": text}}))

    assert parley("chat", "-x", "Code?").stdout == shown


def test_templates_are_edited_listed_shown_and_deleted(parley, template, monkeypatch, config):
    monkeypatch.setenv("EDITOR", 'sh -c \'echo "prompt = \\"Say hello to \\$input\\"" > $0\'')

    assert "parley chat --template hello" in parley("templates", "edit", "hello").stdout
    assert "hello  Say hello to $input" in parley("templates").stdout
    assert 'prompt = "Say hello to $input"' in parley("templates", "show", "hello").stdout
    assert parley("templates", "delete", "hello", "--yes").exit_code == 0
    assert "No templates yet" in parley("templates").stdout


def test_a_template_cannot_be_written_outside_of_its_folder(parley):
    assert parley("templates", "show", "../history").exit_code == 2
