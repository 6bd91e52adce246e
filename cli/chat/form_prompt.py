"""Forms of the model and of tool servers at the terminal: the questions one by one. Ctrl-D declines them."""

import math
from functools import partial

import click

from cli.json_fields import Fields
from cli.output import one_line

type Answer = str | bool | float | list[str]


def prompt_answers(form: Fields) -> dict[str, Answer] | None:
    """Ask the questions of a form in order, and return the answers by their ids, or None if the user declines."""
    server, message = one_line(form.text("server")), one_line(form.text("message"))
    click.echo(f"The tool server {server} asks you:" if server else "The model asks you:", err=True)
    if message:
        click.echo(message, err=True)
    if server:
        click.echo(f"Your answers are sent to {server}. Never enter passwords or other secrets.", err=True)
    click.echo("(Ctrl-D declines.)", err=True)
    try:
        answers = {field.text("id"): _prompt(field) for field in form.parts("fields")}
    except click.Abort as exc:
        if isinstance(exc.__context__, EOFError):
            click.echo(err=True)
            return None
        raise KeyboardInterrupt from exc
    return {id: answer for id, answer in answers.items() if answer is not None}


def _prompt(field: Fields) -> Answer | None:
    """Ask one question, again until the answer can be read. None if the user leaves an optional question out."""
    options, is_required = field.parts("options"), field.get("required") is not False
    for number, option in enumerate(options, 1):
        click.echo(f"  {number}. {one_line(option.text('label'))}", err=True)
    label = f"{one_line(field.text('text'))}{_hint(field)}{'' if is_required else ' (optional)'}"
    default = None if is_required else ""
    answer: Answer | None = click.prompt(label, default=default, show_default=False, value_proc=partial(_parse, field), err=True)
    return answer


def _hint(field: Fields) -> str:
    match field.text("kind"):
        case "boolean":
            return " [y/n]"
        case "choice":
            return f" [1-{len(field.parts('options'))}]"
        case "multiple":
            return " [numbers, such as 1,3]"
    return ""


def _parse(field: Fields, typed: str) -> Answer | None:
    """Return the answer that was typed, None for an empty line. Raises UsageError, after which the question is asked again."""
    text = typed.strip()
    if not text:
        return None
    match field.text("kind"):
        case "boolean":
            return _parse_boolean(text)
        case "number":
            return _parse_number(text)
        case "choice":
            return _option(field, text)
        case "multiple":
            return [_option(field, number) for number in text.split(",")]
    return text


def _parse_boolean(text: str) -> bool:
    if text.lower() not in ("y", "yes", "n", "no"):
        raise click.UsageError("type y or n")
    return text.lower().startswith("y")


def _parse_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.UsageError("type a number")
    return int(number) if number.is_integer() else number


def _option(field: Fields, text: str) -> str:
    options = field.parts("options")
    if not text.strip().isdecimal() or not 1 <= int(text) <= len(options):
        raise click.UsageError(f"type a number from 1 to {len(options)}")
    return options[int(text) - 1].text("value")
