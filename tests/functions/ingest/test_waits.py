"""How long an ingestion waits for a busy model, for its deadline, and what delays it names to the queue."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from functions.ingest import chunk_context, pipeline
from functions.ingest import lease as leases
from functions.ingest.lease import schedule_takeover
from parley.deadline import Deadline
from parley.ids import new_id
from parley.llm.errors import ProviderBusy

DOCUMENT = SimpleNamespace(id=new_id(), user_id=new_id())


class BusyModel:
    """An embedding model that is busy for the first calls."""

    def __init__(self, *waits_s):
        self.waits_s = list(waits_s)

    def vectors(self, texts, *, billing_subject, before_call, deadline):
        before_call()
        if self.waits_s:
            raise ProviderBusy("acme", retry_after_s=self.waits_s.pop(0))
        return [billing_subject.user_id]


@pytest.fixture
def slept_s(monkeypatch):
    """The pauses that the pipeline makes, without their time."""
    pauses_s = []
    monkeypatch.setattr(pipeline, "time", SimpleNamespace(sleep=pauses_s.append))
    return pauses_s


def embed(model, left_s=600):
    lease = SimpleNamespace(document=DOCUMENT, renew=lambda: None)
    return pipeline._embed_batch(model, lease, ["text"], Deadline.after(left_s))


@pytest.mark.parametrize(
    ("waits_s", "pauses_s"),
    [((), []), ((None,), [1.0]), ((None, None, None), [1.0, 4.0, 15.0]), ((2.5, 3.0), [2.5, 4.0]), ((30.0,), [30.0])],
)
def test_a_busy_model_is_asked_again_after_growing_pauses(slept_s, waits_s, pauses_s):
    assert embed(BusyModel(*waits_s)) == [DOCUMENT.user_id]
    assert slept_s == pauses_s


@pytest.mark.parametrize(("waits_s", "left_s", "pauses"), [((None,) * 4, 600, 3), ((30.1,), 600, 0), ((None,), 30.5, 0), ((20.0,), 49, 0)])
def test_a_model_that_stays_busy_ends_the_attempt(slept_s, waits_s, left_s, pauses):
    with pytest.raises(ProviderBusy):
        embed(BusyModel(*waits_s), left_s)

    assert len(slept_s) == pauses


def test_a_model_may_be_waited_for_as_long_as_a_batch_fits_before_the_deadline(slept_s):
    assert embed(BusyModel(20.0), 51)


@pytest.mark.parametrize(("left_s", "delay_s"), [(100, 190), (809, 899), (850, 900)])
def test_another_worker_looks_after_the_deadline_and_the_lease(left_s, delay_s):
    sent = []
    queue = SimpleNamespace(send=lambda id, *, user_id, delay_s: sent.append((id, user_id, delay_s)))
    schedule_takeover(queue, DOCUMENT, deadline=Deadline.after(left_s))

    assert sent == [(DOCUMENT.id, DOCUMENT.user_id, pytest.approx(delay_s, abs=0.5))]


@pytest.mark.parametrize(("age_s", "renewals"), [(14.9, 0), (15.0, 1)])
def test_a_lease_is_renewed_between_short_steps_once_it_is_a_quarter_of_a_minute_old(monkeypatch, age_s, renewals):
    now_s, renewed = [1000.0], []
    monkeypatch.setattr(leases, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    monkeypatch.setattr(leases.Lease, "renew", lambda lease: renewed.append(lease))
    lease = leases.Lease(None, DOCUMENT, datetime.now(UTC))
    now_s[0] += age_s
    lease.keep()

    assert len(renewed) == renewals


@pytest.mark.parametrize(("text", "tokens", "length"), [("x" * 30, 15, 30), ("x" * 30, 14, 24), ("x" * 100, 10, 16)])
def test_a_text_is_shortened_by_fifths_until_it_fits(text, tokens, length):
    assert len(chunk_context._truncate(text, tokens)) == length
