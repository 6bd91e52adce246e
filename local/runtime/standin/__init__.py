"""Python replacements for native modules, in a separate folder so that nothing else reaches a worker's search path."""
