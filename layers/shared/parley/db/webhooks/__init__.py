"""Web hooks: where events of a user are sent, and the deliveries."""
