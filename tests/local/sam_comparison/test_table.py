"""The printed table of the comparison."""

from local.sam_comparison.comparison import ComparedStep, table_line, table_summary

SAME = ComparedStep("auth_login", "200", "200", "", 5.92)
DIFFERENT = ComparedStep("auth_me", "200", "500", "--- parley invoke\n+500", 6.1)


def test_a_row_that_is_the_same_is_one_line():
    assert table_line(SAME).split() == ["auth_login", "200", "200", "same", "5.9"]


def test_a_row_that_differs_shows_how():
    assert table_line(DIFFERENT).splitlines()[1:] == ["    --- parley invoke", "    +500"]


def test_the_summary_counts():
    assert table_summary([SAME]) == "1 calls: 1 same"
    assert table_summary([SAME, DIFFERENT]) == "2 calls: 1 same, 1 different"
