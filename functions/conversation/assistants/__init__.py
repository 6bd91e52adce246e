"""Assistants: named settings of conversations, their versions and shares, and their routes."""
