"""Commands for what runs without the user: scheduled prompts and web hooks."""
