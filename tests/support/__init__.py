"""Helpers shared by several test folders: a database, Lambda events, concurrent clients, tokens and stored data."""
