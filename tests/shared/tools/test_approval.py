from itertools import product

import pytest

from parley.tools.approval import is_trusted, needs_approval
from parley.tools.spec import ToolSpec


def spec(source="builtin", **given) -> ToolSpec:
    return ToolSpec("look", "Look.", {"type": "object"}, source, **given)


def test_a_local_read_only_tool_runs_without_approval_even_in_a_tainted_context():
    assert not needs_approval(spec(), user_requires_approval=None, is_tainted=True)


@pytest.mark.parametrize("effect", ["egress", "writes"])
def test_egress_and_writes_need_approval_in_a_tainted_context(effect):
    assert not needs_approval(spec(**{effect: True}), user_requires_approval=None, is_tainted=False)

    assert needs_approval(spec(**{effect: True}), user_requires_approval=None, is_tainted=True)


@pytest.mark.parametrize("effect", ["egress", "writes"])
def test_a_users_setting_does_not_lift_the_rule_of_the_tainted_context(effect):
    assert needs_approval(spec(**{effect: True}), user_requires_approval=False, is_tainted=True)


def test_a_user_can_require_approval():
    assert needs_approval(spec(), user_requires_approval=True, is_tainted=False)


def test_a_user_cannot_lift_a_tools_own_requirement():
    assert needs_approval(spec(requires_approval=True), user_requires_approval=False, is_tainted=False)


def test_no_setting_removes_a_requirement():
    for demands, egress, writes, tainted, user_requires_approval in product(
        [True, False], [True, False], [True, False], [True, False], [True, False]
    ):
        tool = spec(requires_approval=demands, egress=egress, writes=writes)

        assert needs_approval(tool, user_requires_approval=user_requires_approval, is_tainted=tainted) >= needs_approval(
            tool, user_requires_approval=None, is_tainted=tainted
        )


@pytest.mark.parametrize(
    ("given", "is_safe"),
    [
        ({}, True),
        ({"egress": True}, False),
        ({"writes": True}, False),
        ({"scopes": ("documents",)}, False),
        ({"source": "plugin"}, False),
    ],
)
def test_results_are_trusted_only_of_a_built_in_tool_that_reaches_changes_and_reads_nothing(given, is_safe):
    assert is_trusted(spec(**given)) is is_safe
