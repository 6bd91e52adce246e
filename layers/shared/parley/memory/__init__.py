"""Pure functions for memory: the history window, comparison of facts, and passages of past conversations."""
