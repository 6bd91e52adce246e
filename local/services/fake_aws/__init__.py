"""The process of the AWS stand-in: moto's server, with state that survives a restart."""
