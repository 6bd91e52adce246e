"""What users share with others."""
