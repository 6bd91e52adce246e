"""Lambda's part of the emulator: the Runtime API, the worker processes and the pool of workers of each function."""
