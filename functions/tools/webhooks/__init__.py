"""Web hooks: addresses to which a user's events are sent."""
