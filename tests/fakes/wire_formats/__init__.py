"""The vendors' wire formats: what each sends for an answer."""
