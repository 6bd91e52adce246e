"""How many tokens a text takes, without a tokenizer: vendors differ, and their tables are fetched over the network."""

BYTES_PER_TOKEN = 3  # English takes about 4, code and other scripts less; a low figure keeps the estimate high
PER_MESSAGE = 4


def estimate_tokens(text: str) -> int:
    """Return a generous estimate of what one message with this text takes."""
    return len(text.encode()) // BYTES_PER_TOKEN + 1 + PER_MESSAGE
