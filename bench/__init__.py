"""Benchmarks: the cost of a turn, of a cold start, of `parley up`, and more. Results are printed, never asserted."""
