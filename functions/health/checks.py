"""What Parley needs to serve, and whether it is there."""

import time
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine

from parley.db.transactions import global_scope
from parley.errors import Unavailable
from parley.observability import logger


@dataclass(frozen=True, slots=True)
class Check:
    """How one need fares."""

    status: Literal["ok", "failed"]
    elapsed_ms: float


def check_database(engine: Engine) -> Check:
    """Open a transaction."""
    started = time.perf_counter()
    try:
        with global_scope(engine):
            status: Literal["ok", "failed"] = "ok"
    except Unavailable as exc:
        logger.warning("the database does not answer", reason=repr(exc.__cause__))
        status = "failed"
    return Check(status, round((time.perf_counter() - started) * 1000, 1))
