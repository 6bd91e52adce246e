"""The facts that memory has about a user."""
