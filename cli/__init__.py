"""The `parley` terminal client. It talks to Parley over HTTP only."""
