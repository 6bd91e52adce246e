"""Why follow-up work ends early."""

from parley.errors import ParleyError


class OutOfTime(ParleyError):
    """The function's time is nearly over. What has been done so far is stored; the rest goes on from there."""
