"""Lambda's side of a function: the Runtime API, the worker processes and the pool of them."""
