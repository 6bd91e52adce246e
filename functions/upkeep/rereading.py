"""Documents that are not whole: their queue is told of them again.

Ingestion goes on where it ended, fails what never came, and gives what is ready the vectors that it lacks: after an
outage, with a new month's budget, or since the catalogue names another model.
"""

from functions.upkeep.desk import Desk
from parley.db import documents
from parley.db.transactions import global_scope

# The lease of a worker that died has ended long since, and the message that it left has come.
_ABANDONED_S = 1800.0
_AT_ONCE = 500
# A sweep has 100 seconds; the next one goes on.
_MOST = 20_000


def send_unfinished(services: Desk) -> int:
    """Queue what nobody has worked on for half an hour, and return how many. Raises Unavailable."""
    with global_scope(services.background) as connection:
        found = documents.find_stalled(connection, limit=_MOST, older_than_s=_ABANDONED_S)
    return services.ingest_queue.send_all(found)


def send_without_vectors(services: Desk) -> int:
    """Queue what is ready without vectors of the model that makes them now, and return how many. Raises Unavailable."""
    model, count, last = services.embedding_model(), 0, None
    while model and count < _MOST:
        with global_scope(services.background) as connection:
            found = documents.find_without_vectors(connection, model=model, limit=_AT_ONCE, after=last)
        count += services.ingest_queue.send_all(found)
        if len(found) < _AT_ONCE:
            break
        last = found[-1]
    return count
