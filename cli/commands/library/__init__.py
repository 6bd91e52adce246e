"""Commands that keep many conversations in order."""
