"""Accounts: the cost of signing in, and whether timing reveals who has an account."""
