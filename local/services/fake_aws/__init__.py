"""The process that stands in for AWS: moto's server, with state that survives a restart."""
