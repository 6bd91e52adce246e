"""From `template.yaml` to the stack that AWS would make of it."""
