"""A plugin without a tool."""
