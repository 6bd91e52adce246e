"""Many clients of several tenants on few connections, and whose rows an unfiltered query shows to each."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from sqlalchemy import Engine, text

CLIENTS_PER_PROCESS = 50
UNFILTERED_USERS = text("SELECT DISTINCT user_id FROM conversations UNION SELECT DISTINCT user_id FROM sessions UNION SELECT id FROM users")


def count_visible_rows(number: int, tenants: Sequence[UUID], transactions: int) -> Counter[str]:
    """Open transactions as each tenant and as no user in turn, on many clients; count the results of `visible_rows`."""
    from functions.auth.app import settings
    from parley.db.engine import make_engine

    engines = [make_engine(settings) for _ in range(CLIENTS_PER_PROCESS)]
    with ThreadPoolExecutor(CLIENTS_PER_PROCESS) as pool:
        starts = range(number, number + CLIENTS_PER_PROCESS)
        counts = list(pool.map(_client, engines, [tenants] * CLIENTS_PER_PROCESS, starts, [transactions] * CLIENTS_PER_PROCESS))
    for engine in engines:
        engine.dispose()
    return sum(counts, Counter())


def _client(engine: Engine, tenants: Sequence[UUID], start: int, transactions: int) -> Counter[str]:
    who = [*tenants, None]
    return Counter(visible_rows(engine, who[turn % len(who)]) for turn in range(start, start + transactions))


def visible_rows(engine: Engine, user_id: UUID | None) -> str:
    """Return whose rows an unfiltered query sees in a transaction: `own`, `none` or `foreign`."""
    from parley.db.transactions import global_scope, user_scope

    with user_scope(engine, user_id) if user_id else global_scope(engine) as connection:
        seen = set(connection.scalars(UNFILTERED_USERS))
    if seen - {user_id}:
        return "foreign"
    return "own" if seen else "none"
