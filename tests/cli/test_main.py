"""The command group lists all commands and imports only the called one."""

import subprocess
import sys

import pytest

from cli.main import ACCOUNT_COMMANDS, ADMIN_COMMANDS, CHAT_COMMANDS, ENVIRONMENT_VARIABLES, STACK_COMMANDS

OURS = (*CHAT_COMMANDS, *ACCOUNT_COMMANDS, *ADMIN_COMMANDS)


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_entry_point_imports_click_and_little_else():
    loaded = modules_after("import cli.main")

    assert "click" in loaded
    assert not loaded & {"local", "httpx2", "parley", "readline", "platformdirs", "ssl", "asyncio", "cli.api", "cli.commands.chat"}


def test_a_chat_does_not_load_the_emulator():
    assert "local" not in modules_after("import cli.commands.chat")


def test_help_lists_every_command_and_imports_none():
    statement = "from cli.main import main; main(['--help'], standalone_mode=False)"

    loaded = modules_after(statement)

    assert {*OURS, *STACK_COMMANDS, *(name for name, _ in ENVIRONMENT_VARIABLES)} <= loaded
    assert not loaded & {"local", "httpx2", "cli.commands.chat", "cli.commands.account"}


@pytest.mark.parametrize("command", OURS)
def test_every_command_explains_itself(parley, command):
    result = parley(command, "--help")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: parley {command} [OPTIONS]")


GROUPS = {
    "password": ["change", "reset"],
    "sessions": ["list", "end"],
    "api-keys": ["list", "create", "revoke"],
    "admin": ["users", "disable", "enable", "role", "budget", "invite", "invites", "uninvite", "scim-token", "usage"],
}


@pytest.mark.parametrize(("group", "command"), [(group, each) for group, commands in GROUPS.items() for each in commands])
def test_every_command_in_a_group_explains_itself_and_is_listed(parley, group, command):
    result = parley(group, command, "--help")

    assert result.stdout.startswith(f"Usage: parley {group} {command} [OPTIONS]")
    assert f"  {command} " in parley(group, "--help").stdout


def test_emulator_commands_without_an_installed_checkout_say_how_to_get_one(parley, monkeypatch):
    monkeypatch.setitem(sys.modules, "local.commands", None)

    result = parley("up")

    assert result.exit_code == 1
    assert result.stderr.startswith("`parley up` needs the project's environment. In a checkout of Parley, run `make up` once.\n")


def test_an_unknown_command_is_a_usage_error(parley):
    assert parley("chatt").exit_code == 2
