"""The addresses of what `local.services.inside` answers; apart from it, so that who asks need not load moto."""

STATE, ARRIVALS = "/_local/state", "/_local/arrivals/"
# Shorter than the patience of who asks.
LONGEST_WAIT_S = 20.0
