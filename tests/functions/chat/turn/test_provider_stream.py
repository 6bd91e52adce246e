"""The thread that reads a provider's events, when its stream closes and when it hangs."""

import threading

import pytest

from functions.chat.turn.provider_stream import StreamReader
from tests.support.time_limits import HANG_S


class Stream:
    """A stream without events that ends when its connection breaks: by `close`, unless it `hangs`."""

    def __init__(self, *, hangs):
        self.hangs, self.broken = hangs, threading.Event()

    def __iter__(self):
        self.broken.wait(HANG_S)
        return iter(())

    def close(self):
        if not self.hangs:
            self.broken.set()


@pytest.mark.parametrize(("hangs", "logged"), [(False, []), (True, ["provider_stream_not_closed"])])
def test_a_connection_that_does_not_close_is_logged_and_does_not_keep_the_process_alive(caplog, hangs, logged):
    stream, before = Stream(hangs=hangs), threading.enumerate()
    reader = StreamReader(stream)
    (thread,) = set(threading.enumerate()) - set(before)
    reader.close(timeout_s=0.05 if hangs else HANG_S)
    stream.broken.set()

    assert [record.message for record in caplog.records] == logged
    assert thread.daemon
