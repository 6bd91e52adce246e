"""Assistants: named settings of conversations, in versions, and the groups with which they are shared."""
