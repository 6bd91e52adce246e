"""Settings of tools and listings of servers are those of one tool, server or name."""

import pytest

from parley.db import mcp_servers, tool_settings
from parley.db.tool_settings import ToolSetting


@pytest.fixture
def names(world):
    """Return a function that returns the names of the tools that a person has set."""
    for name, tools in {"ann": ["my_server.a", "myXserver.a", "my_server"], "bea": ["my_server.a"]}.items():
        for tool in tools:
            tool_settings.change(world.connection, tool, user_id=getattr(world, name), changes={"is_enabled": False})
    return lambda name: set(tool_settings.list_all(world.connection, user_id=getattr(world, name)))


def test_a_removed_server_takes_the_settings_of_its_own_tools_along(world, names):
    tool_settings.remove_server(world.connection, "my_server", user_id=world.ann)

    assert (names("ann"), names("bea")) == ({"myXserver.a", "my_server"}, {"my_server.a"})


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("changes", "setting"), [({}, (False, None)), ({"requires_approval": True}, (False, True)), ({"is_enabled": None}, (None, None))]
)
def test_a_change_of_a_tools_setting_leaves_what_it_does_not_name(world, changes, setting):
    changed = tool_settings.change(world.connection, "my_server.a", user_id=world.ann, changes=changes)

    assert changed == ToolSetting("my_server.a", *setting)


def test_the_listings_of_the_servers_asked_for_are_read(world):
    for name in ("weather", "search"):
        mcp_servers.store_deployment_listing(world.connection, name, tools=[{"name": name}], error=None)
    mcp_servers.store_deployment_listing(world.connection, "weather", tools=None, error="unreachable")
    found = mcp_servers.deployment_listings(world.connection, ["weather", "unknown"])

    assert {name: (listing.tools, listing.error) for name, listing in found.items()} == {"weather": ([{"name": "weather"}], "unreachable")}
