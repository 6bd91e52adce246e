"""Metering: rate limits, monthly budgets, and the usage charged to them."""
