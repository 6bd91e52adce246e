"""An HTTP client for URLs that a model, a web page or a user supplied. It refuses internal addresses, to prevent SSRF."""
