"""The emulator's own endpoints under `/_local/`: never in the template, never on AWS."""
