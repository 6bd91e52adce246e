"""A hostile text that tries to make a model call tools, and what it must not reach."""
