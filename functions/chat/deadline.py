"""The moment by which a turn must begin to end."""

from parley.deadline import GRACE_S, Deadline

__all__ = ["GRACE_S", "Deadline"]
