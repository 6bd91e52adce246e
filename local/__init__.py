"""The emulator: runs the stack of `template.yaml` on this machine. This package is not deployed."""
