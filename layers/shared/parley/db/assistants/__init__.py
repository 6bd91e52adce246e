"""Assistants and prompts: named settings and texts of their owners, in versions, which other users may use if they are shared."""
