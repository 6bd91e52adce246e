"""Sections of the guides that a benchmark writes, each between two markers."""


def with_section(text: str, section: str, *, begin: str, end: str) -> str:
    """Return a guide's text with the section between the markers replaced. Raises ValueError if a marker is missing."""
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the guide has no markers {begin} … {end}")
    return f"{before}{begin}\n{section}\n{end}{after}"
