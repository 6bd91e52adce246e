"""Metering: request quotas, monthly budgets, and the usage that is charged to them."""
