"""Read `template.yaml` and return the stack that AWS would create from it."""
