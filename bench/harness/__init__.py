"""Shared parts of the benchmarks: servers, a running Parley, load, /proc figures, and tables."""
