"""Accounts: users, how they register and sign in, their API keys, audit log and exports."""
