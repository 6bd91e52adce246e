"""Links to snapshots of conversations."""
