"""`python -m local up`: the emulator without the rest of the command line."""

import click

from local.commands import invoke, reset, status, up

main = click.Group("local", commands={"up": up, "invoke": invoke, "status": status, "reset": reset})


if __name__ == "__main__":
    main()
