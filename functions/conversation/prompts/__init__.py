"""Prompts: texts with variables under a name, their versions and shares, and their routes."""
