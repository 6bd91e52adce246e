"""The embedder: turns texts into vectors with a small model that it carries. It can be called only through Lambda Invoke."""
