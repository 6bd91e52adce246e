"""The tool runner: runs tools without a database or secrets. It can be called only through Lambda Invoke."""
