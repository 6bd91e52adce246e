"""API Gateway's part of the emulator: it turns HTTP requests into proxy events, and makes the decisions that are API Gateway's own."""
