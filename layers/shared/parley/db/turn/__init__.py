"""Turns: one question and its answer, from the stored question to the stored result."""
