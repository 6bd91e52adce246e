import time

from parley.ids import new_id


def test_an_id_is_a_uuid_of_version_7():
    made = new_id()

    assert (made.version, str(made.variant)) == (7, "specified in RFC 4122")


def test_ids_of_the_same_millisecond_sort_by_creation_time():
    made = []
    for _ in range(50):
        made.append(new_id())
        time.sleep(10e-6)

    assert made == sorted(made)


def test_an_id_contains_its_creation_time():
    before = time.time_ns() // 1_000_000

    assert before <= new_id().int >> 80 <= time.time_ns() // 1_000_000


def test_ids_do_not_repeat():
    assert len({new_id() for _ in range(10_000)}) == 10_000
