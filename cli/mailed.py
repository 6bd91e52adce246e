"""Codes that come by mail."""

import click

from cli.address import is_loopback
from cli.api import Api
from cli.terminal import line, note


def tell(api: Api, email: str) -> None:
    """Say that a code is on its way to `email`, and where to look for it."""
    click.echo(f"A code is on its way to {line(email)}.", err=True)
    if is_loopback(api.url):
        note("A stack on this computer shows its mails where `parley up` runs.")
