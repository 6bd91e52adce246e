"""The tools that come with Parley and run here."""
