import pytest

from bench.turns.soak import slope


def test_the_slope_is_that_of_the_nearest_straight_line():
    assert slope([(0, 1), (100, 2), (200, 3)]) == pytest.approx(0.01)
    assert slope([(0, 1), (1, 3), (2, 1)]) == pytest.approx(0)


def test_one_point_has_no_slope():
    assert slope([(0, 1)]) is None
