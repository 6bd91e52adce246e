"""Groups: users who share documents and, if an admin gives them one, a budget."""
