"""The events of a running turn: numbered as they happen, and kept until they are logged."""

from functions.chat.events import Numbered, TextDelta, TurnEvent
from parley.db.turn.turn_events import TEXT_EVENT, LoggedEvent


class Journal:
    """Numbers the events of one turn. Texts that follow one another are logged as one entry."""

    def __init__(self, *, last: int = 0) -> None:
        """Go on behind the number `last`."""
        self.last = last
        self._entries: list[LoggedEvent] = []
        self._texts: list[str] = []

    def note(self, event: TurnEvent) -> Numbered:
        """Give the event its number and keep it for the log."""
        if isinstance(event, TextDelta):
            self._texts.append(event.text)
            self.last += 1
        else:
            self._close()
            self.last += 1
            self._entries.append(LoggedEvent(self.last, event.name, event.data()))
        return Numbered(self.last, event)

    def withdraw(self) -> None:
        """Take the last event, which was no text, back: it did not happen. Its number is not used again."""
        self._entries.pop()

    def pending(self) -> list[LoggedEvent]:
        """Return what is to be logged. It stays so until `logged`: an attempt that failed is repeated entry by entry."""
        self._close()
        return list(self._entries)

    def take(self) -> list[LoggedEvent]:
        """Return what is to be logged in a transaction that all depends on, and forget it."""
        entries = self.pending()
        self.logged(entries)
        return entries

    def logged(self, entries: list[LoggedEvent]) -> None:
        """Forget what the log has."""
        self._entries = self._entries[len(entries) :]

    def _close(self) -> None:
        if self._texts:
            self._entries.append(LoggedEvent(self.last, TEXT_EVENT, {"texts": self._texts}))
            self._texts = []
