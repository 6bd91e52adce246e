"""An HTTP client for URLs that a model, a web page or a user supplied. None of them may reach an internal address (SSRF)."""
