"""Turns: a question and its answer, from the stored question to the stored result."""
