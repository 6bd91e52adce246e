"""The commands of `parley`. A module is imported when one of its commands is called."""
