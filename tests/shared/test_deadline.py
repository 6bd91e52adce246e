"""The alarm clock."""

import threading
import time

import pytest

from parley.deadline import AlarmClock


@pytest.fixture
def clock():
    return AlarmClock()


def test_an_alarm_rings_at_its_time(clock):
    rung = threading.Event()
    started_s = time.monotonic()
    clock.set(0.1, rung.set)

    assert rung.wait(5)
    assert time.monotonic() - started_s >= 0.1


def test_a_cancelled_alarm_does_not_ring(clock):
    rung, later = threading.Event(), threading.Event()
    clock.set(0.05, rung.set).cancel()
    clock.set(0.15, later.set)

    assert later.wait(5)
    assert not rung.is_set()


def test_a_later_alarm_does_not_hold_up_an_earlier_one(clock):
    rung = threading.Event()
    clock.set(60, lambda: None)
    time.sleep(0.1)  # the thread waits for the later alarm
    clock.set(0.05, rung.set)

    assert rung.wait(5)


def test_an_alarm_set_after_all_others_have_rung_rings(clock):
    for _ in range(3):
        rung = threading.Event()
        clock.set(0.01, rung.set)

        assert rung.wait(5)


def test_many_alarms_use_one_thread(clock):
    before = threading.active_count()
    alarms = [clock.set(60, lambda: None) for _ in range(100)]

    assert threading.active_count() == before + 1
    for alarm in alarms:
        alarm.cancel()


def test_a_cancelled_alarm_keeps_nothing_alive(clock):
    alarm = clock.set(60, lambda: None)
    alarm.cancel()

    assert alarm.ring is None
