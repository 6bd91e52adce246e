"""`python -m cli`: the same as the `parley` command."""

from cli.main import main

main(prog_name="parley")
