"""Runs of the build for arm64, Lambda's default processor, on a machine with another processor."""
