"""Projects, and changes of many conversations in one request."""
