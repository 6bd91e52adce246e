"""Imports of conversations: their progress and reports, and the conversations that they store."""
