"""Accounts: users, registration, login, sessions, API keys, the audit log and exports."""
