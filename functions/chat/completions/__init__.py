"""Parts of a stateless completion that the APIs of OpenAI and Anthropic share."""
