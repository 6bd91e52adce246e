"""`parley templates`: list, show, edit and delete the templates of `parley chat --template`."""

import click

from cli.chat.templates import EXAMPLE, parse_template, read_template, template_names, template_path
from cli.config_dir import write_private
from cli.errors import CliError
from cli.listing import ListGroup
from cli.output import aligned_table, plain_text, shortened
from cli.terminal_input import require_confirmation, yes_option

NO_TEMPLATES = "No templates yet. Write one: parley templates edit summary"


@click.group(cls=ListGroup)
def templates() -> None:
    """Keep questions that you ask again and again, and use them: parley chat --template NAME."""


@templates.command("list")
def list_templates() -> None:
    """List your templates."""
    rows = [(name, _first_line(name)) for name in template_names()]
    click.echo(aligned_table([("name", "prompt"), *rows]) if rows else NO_TEMPLATES)


@templates.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a template."""
    read_template(name)
    click.echo(plain_text(template_path(name).read_text(encoding="utf-8")), nl=False)


@templates.command()
@click.argument("name")
def edit(name: str) -> None:
    """Write or change a template in your editor ($VISUAL or $EDITOR)."""
    path = template_path(name)
    before = path.read_text(encoding="utf-8") if path.exists() else EXAMPLE
    text = click.edit(before, extension=".toml")
    if text is None or (text == before and path.exists()):
        click.echo("Nothing changed.")
        return
    parse_template(name, text)
    write_private(path, text)
    click.echo(f'Saved. Use it: parley chat --template {name} "…"')


@templates.command()
@click.argument("name")
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a template."""
    path = template_path(name)
    if not path.exists():
        raise CliError(f"There is no template {name!r}. To list them: parley templates")
    require_confirmation(f"Delete the template {name!r}?", yes=yes)
    path.unlink()
    click.echo(f"Deleted the template {name!r}")


def _first_line(name: str) -> str:
    try:
        return shortened(read_template(name).prompt.strip(), characters=60)
    except CliError as exc:
        return exc.message
