"""Your own tools: each file here whose name does not begin with `_` is a plugin (docs/tools.md)."""
