"""What saturates first as users grow: a queueing simulation fed with a measured turn."""
