"""`parley schedules`: prompts that run at times."""

import os
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import available_timezones

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.errors import CliError
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, first_items, json_option, limit_option, short_id
from cli.options import with_api
from cli.output import local_time, one_line, shortened

schedule_argument = click.argument("schedule", metavar="ID")
_LOCALTIME = Path("/etc/localtime")


@click.group(cls=ListGroup)
def schedules() -> None:
    """Run prompts at times. Each run is a conversation. ID may be a short id."""


@schedules.command("list")
@limit_option
@json_option
@with_api
def list_schedules(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your scheduled prompts, newest first."""
    SCHEDULES.show(first_items(api, "/schedules", limit=limit), as_json=as_json)


@schedules.command()
@click.argument("prompt", metavar="PROMPT")
@click.option("--cron", metavar="FIELDS", help="Minute, hour, day, month and weekday, such as '30 7 * * 1-5'.")
@click.option("--every", metavar="MINUTES", type=click.IntRange(1), help="Run every so many minutes instead.")
@click.option("--time-zone", metavar="ZONE", help="Time zone of --cron, such as Europe/Berlin.  [default: this computer's]")
@click.option("--model", metavar="MODEL", help="Model that answers.  [default: yours]")
@click.option("--tools/--no-tools", default=False, show_default=True, help="Let the model call your tools.")
@click.option("--documents/--no-documents", default=False, show_default=True, help="Search your documents.")
@click.option("--email/--no-email", default=False, show_default=True, help="Tell you by e-mail when there is an answer.")
@with_api
def add(
    api: ApiClient,
    prompt: str,
    cron: str | None,
    every: int | None,
    time_zone: str | None,
    model: str | None,
    tools: bool,
    documents: bool,
    email: bool,
) -> None:
    """Run PROMPT at times."""
    if (cron is None) == (every is None):
        raise CliError("Give either --cron or --every.")
    body = {"prompt": prompt, "cron": cron, "every_minutes": every, "time_zone": time_zone or _own_time_zone(), "model": model}
    given = {name: value for name, value in body.items() if value is not None}
    made = Fields.of(api.fetch(HttpCall("POST", "/schedules", given | {"tools": tools, "documents": documents, "email": email})))
    click.echo(f"Scheduled {short_id(made.text('id'))}; it runs next at {local_time(made.text('next_at'))}")


@schedules.command()
@schedule_argument
@with_api
def pause(api: ApiClient, schedule: str) -> None:
    """Do not run a prompt until it is resumed."""
    found = _find(api, schedule)
    api.fetch(HttpCall("PATCH", _path(found), {"enabled": False}))
    click.echo(f"Paused {_title(found)}")


@schedules.command()
@schedule_argument
@with_api
def resume(api: ApiClient, schedule: str) -> None:
    """Run a paused prompt again."""
    found = _find(api, schedule)
    changed = Fields.of(api.fetch(HttpCall("PATCH", _path(found), {"enabled": True})))
    click.echo(f"{_title(found)} runs next at {local_time(changed.text('next_at'))}")


@schedules.command()
@schedule_argument
@limit_option
@json_option
@with_api
def runs(api: ApiClient, schedule: str, limit: int, as_json: bool) -> None:
    """List the runs of a prompt of the last 30 days, newest first."""
    RUNS.show(first_items(api, f"{_path(_find(api, schedule))}/runs", limit=limit), as_json=as_json)


@schedules.command()
@schedule_argument
@terminal_input.yes_option
@with_api
def delete(api: ApiClient, schedule: str, yes: bool) -> None:
    """Delete a scheduled prompt. The conversations of its runs stay."""
    found = _find(api, schedule)
    terminal_input.delete_confirmed(api, _path(found), _title(found), yes=yes)


def _own_time_zone() -> str:
    """Return the name of the time zone of `TZ`, or else this computer's. One without a name becomes UTC's offset of now, in whole hours."""
    given = os.environ.get("TZ", "").removeprefix(":").rpartition("/zoneinfo/")[2]
    if given in available_timezones():
        return given
    resolved = str(_LOCALTIME.resolve()) if _LOCALTIME.is_symlink() else ""
    if not given and "/zoneinfo/" in resolved:
        return resolved.partition("/zoneinfo/")[2]
    offset = datetime.fromtimestamp(time.time()).astimezone().utcoffset()
    hours = round(offset.total_seconds() / 3600) if offset else 0
    # The sign of these names is reversed: Etc/GMT-1 is an hour ahead of UTC.
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def _find(api: ApiClient, given: str) -> Fields:
    return find_by_id(all_items(api, "/schedules"), given, noun="scheduled prompt", listed_by="parley schedules")


def _path(schedule: Fields) -> str:
    return f"/schedules/{schedule.text('id')}"


def _title(schedule: Fields) -> str:
    return f"{shortened(schedule.text('prompt'), characters=40)!r} ({short_id(schedule.text('id'))})"


def _schedule_row(schedule: Fields) -> tuple[str, ...]:
    every = schedule.get("every_minutes")
    times = f"every {every} min" if isinstance(every, int) else one_line(f"{schedule.text('cron')} {schedule.text('time_zone')}")
    next_at = local_time(schedule.text("next_at")) or "paused"
    return short_id(schedule.text("id")), times, next_at, shortened(schedule.text("prompt"), characters=50)


def _run_row(run: Fields) -> tuple[str, ...]:
    where = short_id(run.text("conversation_id")) if run.text("conversation_id") else ""
    return local_time(run.text("due_at")), one_line(run.text("status")), where, one_line(run.text("error_code"))


SCHEDULES = Table(
    ("id", "times", "next", "prompt"), _schedule_row, "No scheduled prompts yet. Add one: parley schedules add PROMPT --cron …"
)
RUNS = Table(("due", "status", "conversation", "problem"), _run_row, "No run in the last 30 days.")
