"""Assistants in the terminal: the commands of `parley assistants`, and how `parley chat --assistant` finds one."""
