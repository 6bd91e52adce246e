"""The paths of the inspection endpoints; a module of their own, so that the emulator's process need not load moto."""

STATE_PATH, ARRIVALS_PATH = "/_local/state", "/_local/arrivals/"
# Shorter than the patience of who asks.
MAX_WAIT_S = 20.0
