"""`parley admin`: other people's accounts, invites and usage."""

import click

from cli.admin_invites import invite, invites, uninvite
from cli.admin_usage import usage
from cli.admin_users import budget, disable, enable, role, users


@click.group()
def admin() -> None:
    """Manage accounts, invites and usage, as an admin."""


for command in (users, disable, enable, role, budget, invite, invites, uninvite, usage):
    admin.add_command(command)
