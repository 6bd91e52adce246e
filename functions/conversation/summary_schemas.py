"""What the summary routes give."""

from typing import Literal

from parley.http.schemas import Moment, Output


class SummaryOut(Output):
    """What was said up to and with message number `upto_seq`."""

    text: str
    upto_seq: int
    created_at: Moment


class SummaryAsked(Output):
    """It will be written; there is nothing more to say."""

    status: Literal["accepted"] = "accepted"
