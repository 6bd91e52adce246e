"""The paths of the inspection endpoints, in a separate module so that the emulator's process need not import moto."""

STATE_PATH = "/_local/state"
ARRIVALS_PATH = "/_local/arrivals/"
# Shorter than the client's timeout.
MAX_WAIT_S = 20.0
