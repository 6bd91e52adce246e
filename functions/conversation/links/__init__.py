"""Shared links: snapshots of conversations, and their routes."""
