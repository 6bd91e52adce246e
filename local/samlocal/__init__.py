"""The proof by AWS's own tool: every event by `sam local invoke` and by `parley invoke`, and what differs."""
