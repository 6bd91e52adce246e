"""One module for each format: what a file says, block by block."""
