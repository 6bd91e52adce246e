"""Language models: our own vocabulary, one module for each vendor, and the catalogue that chooses."""
