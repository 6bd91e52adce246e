"""Model calls that users pay for: limits, reservations, and the calls that run outside a chat turn."""
