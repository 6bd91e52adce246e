"""Ratings of answers by their users."""
