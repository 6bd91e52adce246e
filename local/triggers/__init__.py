"""Triggers that invoke functions without an HTTP request: schedules and SQS queues."""
