"""What the summary routes give."""

from typing import Literal

from parley.http.schemas import Output, Timestamp


class SummaryOut(Output):
    """What was said up to and with message number `upto_seq`."""

    text: str
    upto_seq: int
    created_at: Timestamp


class SummaryAsked(Output):
    """It will be written; there is nothing more to say."""

    status: Literal["accepted"] = "accepted"
