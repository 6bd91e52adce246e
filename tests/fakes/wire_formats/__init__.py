"""Answers in each vendor's wire format."""
