"""Templates: questions that are asked again and again, kept as TOML files in the config directory.

A template has a `prompt`, in which `$input` stands for the message and `$name` for a value of `--value name=…`, and may have
a `system` prompt and a `model`.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template as StringTemplate

import click

from cli.config_dir import config_dir
from cli.errors import CliError

EXAMPLE = '''\
# $input is the message, and what is piped in. Other $words are given by --value WORD=TEXT.
prompt = """
Summarize this in three sentences:

$input
"""
# system = "You answer in French."
# model = "offline"
'''


@dataclass(frozen=True)
class Template:
    """A stored question. `system` and `model` are None unless the template has them."""

    name: str
    prompt: str
    system: str | None = None
    model: str | None = None

    def filled(self, message: str, values: Mapping[str, str]) -> str:
        """Return the prompt with the message and the values. Raises UsageError for a value that is missing."""
        words = StringTemplate(self.prompt)
        missing = [word for word in words.get_identifiers() if word not in values and word != "input"]
        if missing:
            needed = " ".join(f"--value {word}=…" for word in missing)
            raise click.UsageError(f"The template {self.name!r} needs a value: {needed}")
        text = words.safe_substitute(values, input=message)
        has_input = "input" in words.get_identifiers()
        return text if has_input or not message.strip() else f"{text.rstrip()}\n\n{message}"


def template_path(name: str) -> Path:
    """Return the file of a template. Raises UsageError for a name that is not a word."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise click.UsageError(f"{name!r} is not a name for a template: use letters, digits, - and _.")
    return config_dir() / "templates" / f"{name}.toml"


def template_names() -> list[str]:
    """Return the names of all templates, sorted."""
    return sorted(path.stem for path in (config_dir() / "templates").glob("*.toml"))


def read_template(name: str) -> Template:
    """Return a template. Raises `CliError` if there is none of that name, or if its file is not valid."""
    path = template_path(name)
    try:
        return parse_template(name, path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise CliError(f"There is no template {name!r}. Write one: parley templates edit {name}") from exc
    except OSError as exc:
        raise CliError(f"Cannot read {path}: {exc.strerror}") from exc


def parse_template(name: str, text: str) -> Template:
    """Return the template in a TOML text. Raises `CliError` if the text is not valid."""
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise CliError(f"The template {name!r} is not valid TOML: {exc}") from exc
    unknown = fields.keys() - {"prompt", "system", "model"}
    if unknown or not all(isinstance(value, str) for value in fields.values()) or not fields.get("prompt", "").strip():
        raise CliError(f"The template {name!r} needs a `prompt`, and may have `system` and `model`, each a text.")
    return Template(name, **fields)
