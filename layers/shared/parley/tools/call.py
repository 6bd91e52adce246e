"""What a tool is called with beside its arguments."""

from dataclasses import dataclass
from uuid import UUID

from parley.tools.guarded_http.client import GuardedHttp


@dataclass(frozen=True, slots=True)
class Call:
    """For whom a tool runs, and its way to the internet. A tool that wants it declares one parameter of this type.

    The server says who the user is: no argument can.
    """

    user_id: UUID
    http: GuardedHttp
