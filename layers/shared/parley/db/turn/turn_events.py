"""The event log of each turn: its events as clients see them, stored for a day so that a stream can be replayed.

A text entry joins several events: it has the number of the last event and keeps their texts apart, so that a client that
has seen some of them receives the rest and nothing twice.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, text

TEXT_EVENT = "text.delta"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event by its number, which counts from 1. An entry of text has `{"texts": […]}`, the last of which is `number`."""

    number: int
    name: str
    data: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Return what it adds to the answer."""
        return "".join(self.data["texts"]) if self.name == TEXT_EVENT else ""

    def document(self, *, after: int = 0) -> Mapping[str, Any]:
        """Return its data as a client sees them who has the events up to `after`."""
        if self.name != TEXT_EVENT:
            return self.data
        texts = self.data["texts"]
        seen = max(0, after - (self.number - len(texts)))
        return {"text": "".join(texts[seen:])}

    @classmethod
    def read(cls, rows: Iterable[Mapping[str, Any]] | None) -> list[Self]:
        """Read what a statement made of rows by `AS_JSON`."""
        return [cls(row["number"], row["name"], row["data"]) for row in rows or ()]


def events_json(entries: Iterable[LoggedEvent]) -> str:
    """Write entries as the parameter `:entries` of a statement that logs them."""
    return json.dumps([{"number": entry.number, "name": entry.name, "data": entry.data} for entry in entries])


def log_cte(source: str) -> str:
    """Write the CTE that logs `:entries` of a turn if `source`, a CTE, has a row; what is logged already stays as it is."""
    return f"""
        logged AS (
            INSERT INTO turn_events (user_id, turn_id, number, name, data)
            SELECT CAST(:user_id AS uuid), CAST(:turn_id AS uuid), entry.number, entry.name, entry.data
              FROM {source}, jsonb_to_recordset(CAST(:entries AS jsonb)) AS entry (number integer, name text, data jsonb)
            ON CONFLICT (user_id, turn_id, number) DO NOTHING
        )"""  # noqa: S608 - our own words


EVENTS_AFTER = """
    SELECT jsonb_agg(jsonb_build_object('number', e.number, 'name', e.name, 'data', e.data) ORDER BY e.number)
      FROM turn_events e
     WHERE e.user_id = CAST(:user_id AS uuid) AND e.turn_id = CAST(:turn_id AS uuid) AND e.number > CAST(:after AS integer)
"""


def sweep(connection: Connection) -> int:
    """Delete what is older than any turn that can still be asked for; return how many. Needs the background role."""
    return connection.execute(text("DELETE FROM turn_events WHERE at < now() - interval '25 hours'")).rowcount
