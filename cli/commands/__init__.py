"""The commands of `parley`; each module is imported when one of its commands is called."""
