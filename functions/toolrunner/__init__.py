"""The tool runner: runs tools without a database or secrets. It is reached by Lambda Invoke only."""
