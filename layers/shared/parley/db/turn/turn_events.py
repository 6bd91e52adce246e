"""The event log of each turn: its events as clients see them, stored for a day so that a stream can be replayed.

A text entry stores several events at once: it has the number of the last event and keeps their texts separate, so that a
client that has received some of the events gets exactly the rest.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, text

TEXT_EVENT = "text.delta"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A log entry. Numbers count from 1. A text entry has the data `{"texts": […]}`; `number` is the number of its last text."""

    number: int
    name: str
    data: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Return the text that the entry adds to the answer."""
        return "".join(self.data["texts"]) if self.name == TEXT_EVENT else ""

    def payload(self, *, after: int = 0) -> Mapping[str, Any]:
        """Return the event data for a client that has already received the events up to number `after`."""
        if self.name != TEXT_EVENT:
            return self.data
        texts = self.data["texts"]
        received = max(0, after - (self.number - len(texts)))
        return {"text": "".join(texts[received:])}

    @classmethod
    def from_json(cls, rows: Iterable[Mapping[str, Any]] | None) -> list[Self]:
        """Read entries from the JSON that `EVENTS_AFTER` selects."""
        return [cls(row["number"], row["name"], row["data"]) for row in rows or ()]


def events_json(entries: Iterable[LoggedEvent]) -> str:
    """Return the value of the parameter `:entries` of `log_cte`."""
    return json.dumps([{"number": entry.number, "name": entry.name, "data": entry.data} for entry in entries])


def log_cte(source: str) -> str:
    """Return the CTE that logs `:entries` of a turn if the CTE `source` has a row. Entries already logged stay unchanged."""
    return f"""
        logged AS (
            INSERT INTO turn_events (user_id, turn_id, number, name, data)
            SELECT CAST(:user_id AS uuid), CAST(:turn_id AS uuid), entry.number, entry.name, entry.data
              FROM {source}, jsonb_to_recordset(CAST(:entries AS jsonb)) AS entry (number integer, name text, data jsonb)
            ON CONFLICT (user_id, turn_id, number) DO NOTHING
        )"""  # noqa: S608 - constants only


EVENTS_AFTER = """
    SELECT jsonb_agg(jsonb_build_object('number', e.number, 'name', e.name, 'data', e.data) ORDER BY e.number)
      FROM turn_events e
     WHERE e.user_id = CAST(:user_id AS uuid) AND e.turn_id = CAST(:turn_id AS uuid) AND e.number > CAST(:after AS integer)
"""


def sweep(connection: Connection) -> int:
    """Delete the events of turns too old to be replayed and return their number. Requires the background role."""
    return connection.execute(text("DELETE FROM turn_events WHERE at < now() - interval '25 hours'")).rowcount
