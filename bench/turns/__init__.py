"""Turn benchmarks: latency compared with other servers, long conversations, tools, and memory over many turns."""
