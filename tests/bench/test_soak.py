import pytest

from bench.turns.soak import QUANTITIES, Growth, judged, section, slope


def test_the_slope_is_that_of_the_nearest_straight_line():
    assert slope([(0, 1), (100, 2), (200, 3)]) == pytest.approx(0.01)
    assert slope([(0, 1), (1, 3), (2, 1)]) == pytest.approx(0)


def test_one_point_has_no_slope():
    assert slope([(0, 1)]) is None


def growth(*values):
    """Return the growth of the chat worker's memory, with a value after each 1,000 turns."""
    return Growth(QUANTITIES[0], [((number + 1) * 1000, value) for number, value in enumerate(values)])


def test_only_the_second_half_of_a_run_counts():
    assert growth(100, 150, 190, 200, 200, 200, 200).is_flat


def test_a_leak_is_noticed():
    assert not growth(100, 103, 106, 109, 112, 115).is_flat


def test_a_quantity_that_was_not_measured_is_not_flat():
    assert not growth().is_flat


def test_a_short_run_judges_the_memory_of_the_chat_worker_only():
    growths = [Growth(quantity, [(100, 1.0), (200, 5.0), (300, 9.0)]) for quantity in QUANTITIES]

    assert [each.quantity.name for each in judged(growths, 300)] == ["chat worker, MB"]
    assert judged(growths, 20_000) == growths
    assert section(growths, 300).text.count("too short") == len(growths) - 1
