"""Scheduled prompts and their routes."""
