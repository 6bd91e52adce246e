"""Plugins with your own tools: every file here whose name does not begin with `_` (docs/tools.md)."""
