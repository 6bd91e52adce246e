"""The circuit of one provider: closed while it answers, open after many failures, half open while one caller probes it.

A pure state machine; `breaker.py` shares it between processes. After M. Nygard, "Release It!", 2nd edition, chapter 5.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

type State = Literal["closed", "open", "half_open"]

WINDOW = timedelta(seconds=60)
COOLDOWN = timedelta(seconds=20)
PROBE = timedelta(seconds=60)  # whoever probes for longer has died
ENOUGH_CALLS = 5
IN_A_ROW = 5


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is known of a provider. Counts are of the window that began at `window_at`."""

    state: State = "closed"
    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
    window_at: datetime | None = None
    opened_at: datetime | None = None
    probe_at: datetime | None = None

    def shut_s(self, now: datetime) -> float:
        """Return for how many seconds nobody may call; zero when closed, or when the next caller may probe."""
        until = None
        if self.state == "open" and self.opened_at:
            until = self.opened_at + COOLDOWN
        if self.state == "half_open" and self.probe_at:
            until = self.probe_at + PROBE
        return max((until - now).total_seconds(), 0.0) if until else 0.0

    def probing(self, now: datetime) -> "Circuit | None":
        """Return the circuit with a caller probing it; None if nobody may, or if it is closed and nobody need."""
        if self.state == "closed" or self.shut_s(now) > 0:
            return None
        return replace(self, state="half_open", probe_at=now)

    def failed(self, now: datetime, *, is_probe: bool = False, earlier_successes: int = 0) -> "Circuit":
        """Count a failure, and the successes that came before it and were not counted yet.

        Only the probe's own failure opens a half open circuit again; other calls are from before it opened.
        """
        if self.state == "half_open" and is_probe:
            return Circuit("open", opened_at=now)
        if self.state != "closed":
            return self
        counted = self._in_window(now)
        counted = replace(
            counted,
            calls=counted.calls + earlier_successes + 1,
            failures=counted.failures + 1,
            in_a_row=1 if earlier_successes else counted.in_a_row + 1,
        )
        return Circuit("open", opened_at=now) if counted._is_too_bad() else counted

    def succeeded(self, now: datetime, *, is_probe: bool = False, successes: int = 1) -> "Circuit":
        """Count successes: the probe's closes the circuit, those from before it opened mean nothing."""
        if self.state == "half_open" and is_probe:
            return Circuit()
        if self.state != "closed":
            return self
        counted = self._in_window(now)
        return replace(counted, calls=counted.calls + successes, in_a_row=0)

    def released(self) -> "Circuit | None":
        """Return the circuit with nobody probing it: the next caller may. None if nobody did."""
        return replace(self, probe_at=None) if self.state == "half_open" and self.probe_at else None

    def _in_window(self, now: datetime) -> "Circuit":
        has_ended = self.window_at is None or now - self.window_at >= WINDOW
        return Circuit(in_a_row=self.in_a_row, window_at=now) if has_ended else self

    def _is_too_bad(self) -> bool:
        return self.in_a_row >= IN_A_ROW or (self.calls >= ENOUGH_CALLS and 2 * self.failures >= self.calls)
