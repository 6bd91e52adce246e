"""Tools: specifications, runners, MCP servers, and the user's approval."""
