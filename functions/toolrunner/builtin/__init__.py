"""The built-in tools that run in the tool runner."""
