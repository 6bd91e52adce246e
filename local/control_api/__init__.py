"""The control API: the emulator's own endpoints under `/_local/`, which do not exist on AWS."""
