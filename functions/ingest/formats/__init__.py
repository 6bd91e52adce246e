"""Parsers, one per format. Each `read` yields the blocks of a file in order."""
