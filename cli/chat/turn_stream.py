"""The events of one turn, over as many connections as that takes."""

import time
from collections.abc import Iterator
from urllib.parse import quote

from cli.api import ApiClient, TurnEvent
from cli.errors import ApiProblem, CliError, ConnectionLost, NoServer, StreamCutOff
from cli.http import HttpCall
from cli.output import print_note

# The server sends a ping at least every 15 s.
STREAM_TIMEOUT_S = 60.0
# The pauses before the attempts to reach the server again. They start again after every event.
RECONNECT_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)


class TurnStream:
    """Reads the events of a turn. `turn_id` is empty, and `last_event` zero, until the first event has arrived."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self.turn_id = ""
        self.last_event = 0

    def events(self, call: HttpCall) -> Iterator[TurnEvent]:
        """Make a call that starts or continues the turn, and yield its events.

        A lost connection is made again, and no event is yielded twice. Raises NoServer if the first connection cannot be made,
        and ConnectionLost if the server cannot be reached any more.
        """
        attempts, is_repeated = 0, False
        while True:
            try:
                with self._api.stream(call) as events:
                    for event in events:
                        if is_repeated and 0 < event.number <= self.last_event:
                            continue
                        attempts = 0
                        self._record(event)
                        yield event
                return
            except NoServer as exc:
                if not is_repeated:
                    raise
                lost: CliError = exc
            except ConnectionLost as exc:
                lost = exc
            except ApiProblem as exc:
                if not is_repeated:
                    raise
                if exc.code != "in_progress":
                    raise StreamCutOff from exc
                self.turn_id, lost = exc.problem.text("turn_id"), exc
            if attempts == len(RECONNECT_DELAYS_S):
                raise lost
            print_note("The connection was lost; trying again.")
            time.sleep(RECONNECT_DELAYS_S[attempts])
            attempts, is_repeated = attempts + 1, True
            call = self._next_call(call)

    def _record(self, event: TurnEvent) -> None:
        self.last_event = max(self.last_event, event.number)
        if event.name == "turn.started":
            self.turn_id = event.fields.text("turn_id")

    def _next_call(self, call: HttpCall) -> HttpCall:
        """Return the call that continues the turn. Without a turn id, and for a decision that may be lost, it is the same call."""
        if not self.turn_id or call.path.endswith(("/approvals", "/answers")):
            return call
        path = f"/chat/turns/{quote(self.turn_id, safe='')}/events"
        return HttpCall("GET", path, query={"after": self.last_event}, timeout_s=STREAM_TIMEOUT_S)
