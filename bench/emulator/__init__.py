"""What the emulator itself costs: its workers, its share of a request, its idle time, and the gaps that it adds to streams."""
