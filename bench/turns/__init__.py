"""Turns: latency beside other servers, long conversations, tools, and memory over many turns."""
