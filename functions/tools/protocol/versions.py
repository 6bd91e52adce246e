"""The revisions of MCP that are spoken here; a test holds them to the official package's.

Two ways of one protocol: the older revisions begin with `initialize`, the modern ones say with each request who asks.
Neither needs anything kept between requests. https://modelcontextprotocol.io/specification
"""

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = ("2026-07-28",)
SUPPORTED = HANDSHAKE + MODERN


def agreed(wanted: object) -> str:
    """Return the revision to answer `initialize` with: the one that is wanted, or else the newest there is for it."""
    return wanted if isinstance(wanted, str) and wanted in HANDSHAKE else HANDSHAKE[-1]
