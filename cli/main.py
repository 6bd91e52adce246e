"""The `parley` command. Subcommands are imported when they are called, so that `parley chat` starts fast."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import override

import click

from cli.errors import EnvironmentMissing
from cli.output import tolerate_narrow_encodings, wants_color

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@dataclass(frozen=True)
class CommandEntry:
    """A command's module and its line in `parley --help`. `function` is its name there, by default the command's own."""

    module: str
    help: str
    function: str = ""


CHAT_COMMANDS = {
    "chat": CommandEntry("cli.commands.chat", "Send a message and stream the answer; without a message, start a chat."),
    "regenerate": CommandEntry("cli.commands.chat", "Answer the last question again."),
    "conversations": CommandEntry("cli.commands.conversations", "List, search, tag, archive, save and delete your conversations."),
    "links": CommandEntry("cli.commands.conversations", "Share conversations by links, list and revoke them."),
    "projects": CommandEntry("cli.commands.library.projects", "Keep conversations in projects with instructions and documents."),
    "history": CommandEntry("cli.commands.conversations", "Show the messages of a conversation."),
    "import": CommandEntry(
        "cli.commands.imports", "Import conversations from ChatGPT, Claude, LibreChat, Open WebUI or Parley.", "import_file"
    ),
    "schedules": CommandEntry("cli.commands.automation.schedules", "Run prompts at times; list, pause and delete them."),
    "memories": CommandEntry("cli.commands.memories", "See, add, correct and forget what is remembered about you."),
    "templates": CommandEntry("cli.commands.templates", "Keep questions that you ask again and again on this computer."),
    "assistants": CommandEntry("cli.assistants.commands", "Add assistants with instructions and documents; change and share them."),
    "prompts": CommandEntry("cli.commands.library.prompts", "Keep prompts with variables on the server; use, change and share them."),
    "documents": CommandEntry("cli.commands.documents", "Add documents for answers to cite; list, search and delete them."),
    "groups": CommandEntry("cli.commands.groups", "Found groups to share documents with; invite people, join and leave."),
    "tools": CommandEntry("cli.commands.tools", "List, configure and call tools; add remote MCP servers."),
    "models": CommandEntry("cli.commands.models", "List the available models, and check that they answer."),
    "usage": CommandEntry("cli.commands.usage", "Show your tokens, cost and budget."),
}
ACCOUNT_COMMANDS = {
    "register": CommandEntry("cli.commands.account", "Create an account and log in."),
    "verify": CommandEntry("cli.commands.account", "Finish a registration with the e-mailed code."),
    "login": CommandEntry("cli.commands.account", "Log in."),
    "logout": CommandEntry("cli.commands.account", "Log out, here or everywhere."),
    "whoami": CommandEntry("cli.commands.account", "Show which account is logged in, and where."),
    "password": CommandEntry("cli.commands.credentials", "Change your password, or reset it by e-mail."),
    "email": CommandEntry("cli.commands.credentials", "Change your e-mail address."),
    "second-factor": CommandEntry("cli.commands.second_factor", "Turn the second factor of your logins on or off."),
    "passkeys": CommandEntry("cli.commands.second_factor", "List and remove passkeys."),
    "sessions": CommandEntry("cli.commands.sessions", "List your login sessions; end them."),
    "api-keys": CommandEntry("cli.commands.api_keys", "List, create and revoke keys for scripts."),
    "webhooks": CommandEntry("cli.commands.automation.webhooks", "Have events of your account sent to an address."),
    "audit": CommandEntry("cli.commands.sessions", "List security events of your account."),
    "export": CommandEntry("cli.commands.account_data", "Save all data stored about you."),
    "delete-account": CommandEntry("cli.commands.account_data", "Delete your account and everything in it."),
}
ADMIN_COMMANDS = {
    "admin": CommandEntry("cli.commands.administration.admin", "Manage accounts and invites; show usage and the audit."),
}
CLIENT_COMMANDS = {
    "connect": CommandEntry("cli.commands.connect", "Configure Claude Code, Codex, Cursor and others to use this Parley."),
    "completion": CommandEntry("cli.commands.completion", "Complete commands and ids in your shell with Tab."),
}
STACK_COMMANDS = {
    "up": CommandEntry("local.commands", "Run the whole stack on this computer."),
    "status": CommandEntry("local.commands", "Show the parts of the running stack."),
    "logs": CommandEntry("local.commands", "Show, follow and search the functions' logs."),
    "invoke": CommandEntry("local.commands", "Call one function with an event, as Lambda would."),
    "keys": CommandEntry("local.commands", "Rotate the keys that sign the stack's tokens."),
    "backup": CommandEntry("local.backup.commands", "Save the stack's database, files and keys to a folder."),
    "restore": CommandEntry("local.backup.commands", "Restore the stack from a backup."),
    "reset": CommandEntry("local.commands", "Delete the stack's data on this computer."),
}
HELP_SECTIONS = {
    "Chat": CHAT_COMMANDS,
    "Account": ACCOUNT_COMMANDS,
    "Administration": ADMIN_COMMANDS,
    "Other programs": CLIENT_COMMANDS,
    "The stack on this computer": STACK_COMMANDS,
}
ENVIRONMENT_VARIABLES = [
    ("PARLEY_URL", "Address of the API, unless --url is given."),
    ("PARLEY_API_KEY", "API key for the commands under Chat, instead of a login."),
    ("PARLEY_CONFIG_DIR", "Directory for this client's files."),
]


class LazyGroup(click.Group):
    """A command group that imports only the command that is called."""

    entries: Mapping[str, CommandEntry] = CHAT_COMMANDS | ACCOUNT_COMMANDS | ADMIN_COMMANDS | CLIENT_COMMANDS | STACK_COMMANDS

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of the help text."""
        return list(self.entries)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or return None if the name is unknown."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        try:
            module = importlib.import_module(entry.module)
        except ModuleNotFoundError as exc:
            if cmd_name not in STACK_COMMANDS:
                raise
            raise EnvironmentMissing(cmd_name, missing=exc.name or entry.module) from exc
        command: click.Command = getattr(module, entry.function or cmd_name.replace("-", "_"))
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list without importing the commands."""
        for title, entries in HELP_SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])
        with formatter.section("Environment"):
            formatter.write_dl(ENVIRONMENT_VARIABLES)

    @override
    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Ctrl-C exits with status 130 and no message, at a prompt too."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(EXIT_INTERRUPTED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parley", message="parley %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Chat with your own Parley from the terminal, and run it on this computer.

    First steps: `parley up` in one terminal; `parley register` and `parley chat "Hello"` in another.
    """
    ctx.color = wants_color()
    tolerate_narrow_encodings()
