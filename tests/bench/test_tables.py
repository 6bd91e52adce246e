import pytest

from bench.harness.tables import difference_of, format_figure, format_ratio, quantile, ratio_of, table, verdict


def test_a_table_is_aligned_with_its_figures_to_the_right():
    drawn = table(["", "ms"], [["one", "9.5"], ["another", "10.5"]])

    assert drawn.splitlines() == [
        "|         |   ms |",
        "| :------ | ---: |",
        "| one     |  9.5 |",
        "| another | 10.5 |",
    ]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_quantile_is_the_value_of_the_nearest_rank(share, expected):
    assert quantile([float(number) for number in range(100, 0, -1)], share) == expected


def test_the_quantile_of_few_values_is_one_of_them():
    assert quantile([3.0, 7.0], 0.99) == 7.0


def test_what_was_not_measured_is_a_dash_and_no_verdict():
    missing = quantile([], 0.5)

    assert format_figure(missing) == format_ratio(missing) == "–"
    assert verdict(missing, at_most=1) == "not measured"


def test_differences_and_ratios_need_both_figures():
    assert difference_of(3.0, 1.0) == 2.0
    assert difference_of(None, 1.0) is None
    assert ratio_of(3.0, 2.0) == 1.5
    assert ratio_of(3.0, 0.0) is None


def test_an_aim_is_kept_up_to_its_very_figure():
    assert verdict(0.5, at_most=0.5) == "reached"
    assert verdict(0.51, at_most=0.5) == "not reached"
    assert verdict(2.9, at_least=3) == "not reached"
