"""`parley completion`: print or install the completion script of a shell."""

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from cli.errors import CliError

VARIABLE = "_PARLEY_COMPLETE"
HINTS = {
    "bash": "It is loaded by the package bash-completion in new shells.",
    "zsh": "Make sure that ~/.zshrc has, before compinit: fpath=(~/.zfunc $fpath)",
    "fish": "It is loaded in new shells.",
}


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--install", is_flag=True, help="Write the script where the shell finds it, instead of printing it.")
@click.pass_context
def completion(ctx: click.Context, shell: str, install: bool) -> None:
    """Complete commands, options, models and ids with Tab.

    For this shell only: eval "$(parley completion bash)". For all new shells: parley completion bash --install
    """
    completion_class = get_completion_class(shell)
    if completion_class is None:  # the choices above are the shells that click knows
        raise CliError(f"There is no completion for {shell}.")
    script = completion_class(ctx.find_root().command, {}, "parley", VARIABLE).source()
    if not install:
        click.echo(script)
        return
    path = script_path(shell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
    except OSError as exc:
        raise CliError(f"Cannot write {path}: {exc.strerror}") from exc
    click.echo(f"Installed {path}. {HINTS[shell]}")


def script_path(shell: str) -> Path:
    """Return the file that the shell reads for completions of `parley`, in the user's home directory."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return {
        "bash": data / "bash-completion/completions/parley",
        "zsh": Path.home() / ".zfunc/_parley",
        "fish": config / "fish/completions/parley.fish",
    }[shell]
