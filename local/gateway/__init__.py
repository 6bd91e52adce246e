"""API Gateway's part of the emulator: it turns HTTP requests into proxy events, and routes, throttles, authorizes and refuses requests."""
