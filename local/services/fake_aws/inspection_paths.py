"""The paths of the inspection endpoints, in a separate module so that the emulator's process need not import moto."""

STATE_PATH = "/_local/state"
