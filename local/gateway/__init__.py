"""API Gateway's part of the emulator: HTTP requests in, proxy events out, and the decisions API Gateway makes itself."""
