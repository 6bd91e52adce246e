"""AG-UI: the request `RunAgentInput`, and a turn's events in its form (https://docs.ag-ui.com/spec/1.0)."""
