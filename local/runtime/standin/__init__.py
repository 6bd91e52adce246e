"""A folder of its own, so that nothing else comes onto the search path of a worker with what stands in here."""
