"""What a user lets one tool do."""

from functions.tools.desk import Desk
from parley.auth.principal import Principal
from parley.db import tool_settings
from parley.db.transactions import principal_scope
from parley.errors import NotFound
from parley.tools.toolbox import OfferedTool, with_setting


def change(services: Desk, principal: Principal, name: str, changes: dict[str, bool | None]) -> OfferedTool:
    """Set what is given and return the tool as it is then, or raise NotFound."""
    tool = next((one for one in services.toolbox(principal).all if one.spec.name == name), None)
    if tool is None:
        raise NotFound("tool", name)
    with principal_scope(services.engine, principal) as connection:
        setting = tool_settings.change(connection, name, user_id=principal.user_id, changes=changes)
    return with_setting(tool.spec, setting)
