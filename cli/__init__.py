"""The terminal client: talks to Parley over HTTP only."""
