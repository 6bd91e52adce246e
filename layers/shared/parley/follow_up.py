"""The queue of follow-up work: titles, and what of conversations is to be remembered."""

from parley.db.outbox import Entry
from parley.upkeep import UpkeepQueue, Work

# A burst of turns is remembered together. Within the quarter of an hour after which an entry counts as lost.
DELAYS_S: dict[str, float] = {"remember": 120}


class MemoryQueue(UpkeepQueue):
    """The way to the summarize function: the SQS queue with this address."""

    def send_entry(self, entry: Entry, *, at_once: bool = False) -> None:
        """Put an entry of the outbox on the queue, or log that it failed: the sweep sends it again.

        What is to be remembered is seen two minutes later, unless `at_once`.
        """
        self.send_later(Work.of(entry), delay_s=0 if at_once else DELAYS_S.get(entry.topic, 0))
