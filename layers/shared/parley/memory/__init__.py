"""What of the past goes into the next call of a model. Pure functions."""
