"""The code layer that Parley's functions share."""

__version__ = "0.1.0"
