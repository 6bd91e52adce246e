"""`parley webhooks`: have events sent to an address."""

import click

from cli import terminal_input
from cli.api import ApiClient
from cli.http import HttpCall
from cli.json_fields import Fields
from cli.listing import ListGroup, Table, all_items, find_by_id, first_items, json_option, limit_option, short_id
from cli.options import with_api
from cli.output import local_time, one_line, shortened

EVENTS = ("turn.waiting_for_approval", "schedule.ended", "budget.warning")
hook_argument = click.argument("webhook", metavar="ID")


@click.group(cls=ListGroup)
def webhooks() -> None:
    """Have events of your account sent to an address, signed. ID may be a short id."""


@webhooks.command("list")
@limit_option
@json_option
@with_api
def list_webhooks(api: ApiClient, limit: int, as_json: bool) -> None:
    """List your web hooks, newest first."""
    WEBHOOKS.show(first_items(api, "/webhooks", limit=limit), as_json=as_json)


@webhooks.command()
@click.argument("address", metavar="ADDRESS")
@click.option("--event", "events", type=click.Choice(EVENTS), multiple=True, help="Event to send; can be repeated.  [default: all]")
@with_api
def add(api: ApiClient, address: str, events: tuple[str, ...]) -> None:
    """Send events to ADDRESS. Standard output receives only the secret that signs them; it is never shown again."""
    made = Fields.of(api.fetch(HttpCall("POST", "/webhooks", {"url": address, "events": list(events or EVENTS)})))
    click.echo(one_line(made.text("secret")))
    click.echo(f"Web hook {short_id(made.text('id'))} is on. Store the secret safely: it is not shown again.", err=True)


@webhooks.command()
@hook_argument
@with_api
def rotate(api: ApiClient, webhook: str) -> None:
    """Replace the secret of a web hook. For 24 hours, events are signed with both."""
    made = Fields.of(api.fetch(HttpCall("POST", f"{_path(_find(api, webhook))}/rotate-secret")))
    click.echo(one_line(made.text("secret")))


@webhooks.command()
@hook_argument
@with_api
def off(api: ApiClient, webhook: str) -> None:
    """Send no events to a web hook until it is on again."""
    _set_enabled(api, webhook, enabled=False)


@webhooks.command()
@hook_argument
@with_api
def on(api: ApiClient, webhook: str) -> None:
    """Send events to a web hook again."""
    _set_enabled(api, webhook, enabled=True)


@webhooks.command()
@hook_argument
@limit_option
@json_option
@with_api
def deliveries(api: ApiClient, webhook: str, limit: int, as_json: bool) -> None:
    """List the events of the last seven days, and budget warnings of the last 32, for a web hook, newest first."""
    DELIVERIES.show(first_items(api, f"{_path(_find(api, webhook))}/deliveries", limit=limit), as_json=as_json)


@webhooks.command()
@hook_argument
@terminal_input.yes_option
@with_api
def delete(api: ApiClient, webhook: str, yes: bool) -> None:
    """Delete a web hook."""
    found = _find(api, webhook)
    terminal_input.delete_confirmed(api, _path(found), f"the web hook to {one_line(found.text('url'))}", yes=yes)


def _set_enabled(api: ApiClient, webhook: str, *, enabled: bool) -> None:
    found = _find(api, webhook)
    api.fetch(HttpCall("PATCH", _path(found), {"enabled": enabled}))
    click.echo(f"The web hook to {one_line(found.text('url'))} is {'on' if enabled else 'off'}")


def _find(api: ApiClient, given: str) -> Fields:
    return find_by_id(all_items(api, "/webhooks"), given, noun="web hook", listed_by="parley webhooks")


def _path(webhook: Fields) -> str:
    return f"/webhooks/{webhook.text('id')}"


def _webhook_row(webhook: Fields) -> tuple[str, ...]:
    events = webhook.get("events")
    names = one_line(", ".join(map(str, events))) if isinstance(events, list) else ""
    return (
        short_id(webhook.text("id")),
        shortened(webhook.text("url"), characters=50),
        names,
        "off" if webhook.text("disabled_at") else "on",
    )


def _delivery_row(delivery: Fields) -> tuple[str, ...]:
    status = delivery.get("response_status")
    answer = str(status) if isinstance(status, int) else shortened(delivery.text("error"), characters=50)
    return local_time(delivery.text("created_at")), one_line(delivery.text("type")), one_line(delivery.text("status")), answer


WEBHOOKS = Table(("id", "address", "events", "state"), _webhook_row, "No web hooks yet. Add one: parley webhooks add https://…")
DELIVERIES = Table(("at", "event", "status", "answer"), _delivery_row, "No event in the last seven days.")
