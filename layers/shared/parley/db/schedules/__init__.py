"""Scheduled prompts, their runs, and the time of the next one."""
