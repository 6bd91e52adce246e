"""The emulator: runs `template.yaml` on this machine. Nothing here is deployed."""
