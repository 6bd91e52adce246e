"""`parley`: the group of all commands. Each is imported when it is called, so that `parley chat` starts fast."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import override

import click

from cli.errors import EnvironmentMissing
from cli.terminal import tolerate_narrow_encodings, wants_color

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True)
class Entry:
    """Where a command is and what `parley --help` says of it."""

    module: str
    help: str


CHAT = {
    "chat": Entry("cli.chat", "Ask, and watch the answer arrive; without a message, talk."),
    "conversations": Entry("cli.conversations", "List your conversations."),
    "history": Entry("cli.conversations", "Show the messages of a conversation."),
    "documents": Entry("cli.documents", "Add documents to answer from; list, search and delete them."),
    "tools": Entry("cli.tools", "List, set and call tools; add remote MCP servers."),
    "models": Entry("cli.models", "List the models you may ask, and check that they answer."),
}
ACCOUNT = {
    "register": Entry("cli.account", "Make an account and log in to it."),
    "verify": Entry("cli.account", "Finish a registration with the mailed code."),
    "login": Entry("cli.account", "Log in."),
    "logout": Entry("cli.account", "Log out, here or everywhere."),
    "whoami": Entry("cli.account", "Show who is logged in, and where."),
    "password": Entry("cli.password", "Change your password, or set a new one by mail."),
    "email": Entry("cli.email_change", "Change your e-mail address."),
    "sessions": Entry("cli.session_commands", "List where you are logged in; end sessions."),
    "api-keys": Entry("cli.api_keys", "List, make and revoke keys for scripts."),
    "audit": Entry("cli.audit", "List what happened to your account."),
    "export": Entry("cli.export", "Save everything that is stored about you."),
    "delete-account": Entry("cli.delete_account", "Delete your account and everything in it."),
}
ADMIN = {
    "admin": Entry("cli.admin", "Manage accounts, invites and usage."),
}
STACK = {
    "up": Entry("local.commands", "Run the whole stack on this computer."),
    "status": Entry("local.commands", "Show what the running stack consists of."),
    "invoke": Entry("local.commands", "Call one function with an event, as Lambda would."),
    "keys": Entry("local.key_commands", "Rotate the keys that the stack signs tokens with."),
    "reset": Entry("local.commands", "Delete the stack's data on this computer."),
}
SECTIONS = {"Chat": CHAT, "Account": ACCOUNT, "Administration": ADMIN, "The stack on this computer": STACK}
VARIABLES = [
    ("PARLEY_URL", "Address of the API, where --url does not say."),
    ("PARLEY_API_KEY", "API key for the commands under Chat, instead of a login."),
    ("PARLEY_CONFIG_DIR", "Folder for what this client keeps."),
]


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports only the one that is called."""

    entries: Mapping[str, Entry] = CHAT | ACCOUNT | ADMIN | STACK

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help text."""
        return list(self.entries)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None when there is none of that name."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        try:
            module = importlib.import_module(entry.module)
        except ModuleNotFoundError as exc:
            if cmd_name not in STACK:
                raise
            raise EnvironmentMissing(cmd_name, missing=exc.name or entry.module) from exc
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])
        with formatter.section("Environment"):
            formatter.write_dl(VARIABLES)

    @override
    def invoke(self, ctx: click.Context) -> object:
        """Run the command; Ctrl-C, also at a prompt, ends it quietly with 130."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(INTERRUPTED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parley", message="parley %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Chat with your own Parley from the terminal, and run it on this computer.

    First steps: `parley up` in one terminal; `parley register` and `parley chat "Hello"` in another.
    """
    ctx.color = wants_color()
    tolerate_narrow_encodings()
