"""Startup benchmarks: cold functions, the first call of a provider, and `parley up`."""
