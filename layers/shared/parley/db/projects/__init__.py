"""SQL of projects and of changes to many conversations."""
