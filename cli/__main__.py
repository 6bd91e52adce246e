"""Run the `parley` command as `python -m cli`."""

from cli.main import main

main(prog_name="parley")
