"""API Gateway's side: HTTP in, proxy events out, and everything that it decides by itself."""
