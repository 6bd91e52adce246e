import pytest

from bench.turns.fairness import OtherUser, report


@pytest.mark.parametrize(
    ("user", "result"),
    [
        (OtherUser([10.0], [20.0], [30.0]), "| reached |"),
        (OtherUser([10.0], [20.0], [30.1]), "| not reached |"),
        (OtherUser([10.0], [20.0], [20.0], errors=1), "| not reached |"),
    ],
    ids=["within the aim", "beyond the aim", "a refused turn"],
)
def test_a_users_turns_are_held_to_the_aim(user, result):
    assert report({"worst": user}).endswith(result)
