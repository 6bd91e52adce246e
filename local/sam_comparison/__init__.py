"""The proof by AWS's own tool: each event by `sam local invoke` and by `parley invoke`, and the differences."""
