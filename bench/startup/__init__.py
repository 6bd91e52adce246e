"""Starts: cold functions, first calls of a vendor, and `parley up`."""
