"""Guards: checks of everything that is sent to a vendor and of everything that a model answers."""
