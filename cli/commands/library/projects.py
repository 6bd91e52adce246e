"""`parley projects`: folders of conversations with instructions and documents of their own."""

from urllib.parse import quote

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.document_api import find_document_ids
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_name, first_items, json_option, limit_option, name_and_id, short_id
from cli.options import with_api_or_key
from cli.output import one_line, shortened

PROJECTS_PATH = "/projects"
NO_PROJECTS = 'No projects yet. Make one: parley projects add Lisbon --instructions "Prices in euros."'

project_argument = click.argument("project", metavar="PROJECT")
instructions_option = click.option(
    "--instructions", metavar="TEXT", help="Instructions to the model, for all conversations of the project."
)
memory_option = click.option(
    "--memory", type=click.Choice(["all", "project"]), help="Recall everything, or only what was said in the project."
)
document_option = click.option("--document", "documents", metavar="ID", multiple=True, help="Search this document; can be repeated.")


def find_project(api: ApiClient, given: str) -> Fields:
    """Return the project with this name, or whose id is, starts or ends with `given`. Raises `CliError` if none or several match."""
    return find_by_name(list(all_items(api, PROJECTS_PATH)), given, noun="project", listed_by="parley projects")


@click.group(cls=ListGroup)
def projects() -> None:
    """Keep conversations in projects with instructions and documents. To chat in one: parley chat --project PROJECT

    PROJECT is a name or an id; a short id will do.
    """


@projects.command("list")
@limit_option
@json_option
@with_api_or_key
def list_projects(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your projects, newest first."""
    PROJECTS.show(first_items(api, PROJECTS_PATH, limit=limit), as_json=as_json)


@projects.command()
@click.argument("name")
@instructions_option
@memory_option
@document_option
@with_api_or_key
def add(api: ApiClient, name: str, instructions: str | None, memory: str | None, documents: tuple[str, ...]) -> None:
    """Make a project called NAME."""
    body = {"name": name, "instructions": instructions, "memory_scope": memory or "all", "documents": find_document_ids(api, documents)}
    click.echo(f"Made {name_and_id(Fields.of(api.fetch(HttpCall('POST', PROJECTS_PATH, body))))}")


@projects.command()
@project_argument
@click.option("--name", metavar="TEXT", help="The new name.")
@instructions_option
@memory_option
@document_option
@click.option("--no-documents", is_flag=True, help="Search no documents.")
@with_api_or_key
def change(
    api: ApiClient,
    project: str,
    name: str | None,
    instructions: str | None,
    memory: str | None,
    documents: tuple[str, ...],
    no_documents: bool,
) -> None:
    """Change a project. The documents given replace those that it has."""
    given: dict[str, object] = {"name": name, "instructions": instructions, "memory_scope": memory}
    changes = {field: value for field, value in given.items() if value is not None}
    if documents or no_documents:
        changes["documents"] = find_document_ids(api, documents)
    if not changes:
        raise click.UsageError("Nothing to change: give --name, --instructions, --memory or --document.")
    found = find_project(api, project)
    click.echo(f"Changed {name_and_id(Fields.of(api.fetch(HttpCall('PATCH', _path(found), changes))))}")


@projects.command()
@project_argument
@click.option("--with-conversations", is_flag=True, help="Delete its conversations, too. Without it, they stay.")
@terminal_input.yes_option
@with_api_or_key
def delete(api: ApiClient, project: str, with_conversations: bool, yes: bool) -> None:
    """Delete a project. Its documents stay, and so do its conversations unless you say otherwise."""
    found = find_project(api, project)
    what = "and its conversations" if with_conversations else "and keep its conversations"
    terminal_input.require_confirmation(f"Delete the project {name_and_id(found)} {what}?", yes=yes)
    query = {"conversations": "delete" if with_conversations else "keep"}
    api.fetch(HttpCall("DELETE", _path(found), query=query))
    click.echo(f"Deleted {name_and_id(found)}")


def _path(project: Fields) -> str:
    return f"{PROJECTS_PATH}/{quote(project.text('id'), safe='')}"


def _project_row(project: Fields) -> tuple[str, ...]:
    memory = "its own" if project.text("memory_scope") == "project" else "all"
    documents = str(len(project.texts("documents")))
    return (
        short_id(project.text("id")),
        one_line(project.text("name")),
        memory,
        documents,
        shortened(project.text("instructions"), characters=50),
    )


PROJECTS = Table(("id", "name", "memory", "documents", "instructions"), _project_row, NO_PROJECTS)
