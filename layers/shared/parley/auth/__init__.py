"""Principals, and the tokens, keys and codes that authenticate them."""
