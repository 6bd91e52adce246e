"""The emulator's commands without the rest of `parley`: `python -m local up`."""

import click

from local.commands import invoke, reset, status, up

main = click.Group("local", commands={"up": up, "invoke": invoke, "status": status, "reset": reset})


if __name__ == "__main__":
    main()
