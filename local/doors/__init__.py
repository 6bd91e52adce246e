"""What only the emulator has, under `/_local/`: never in the template, never on AWS."""
