"""Helpers that tests of several folders share: a database, Lambda's events, concurrent clients, tokens and stored data."""
