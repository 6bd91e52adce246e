"""HTTP for addresses that a model, a page or a user named: none of them may lead inside."""
