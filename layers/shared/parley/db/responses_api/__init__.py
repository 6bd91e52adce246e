"""Stored responses of OpenAI's Responses API, and the conversations of its clients."""
