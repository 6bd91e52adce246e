"""Runs tools: no database, no secrets, no way in but Lambda Invoke."""
