"""Tools: what they are, who runs them, and what a user lets them do."""
