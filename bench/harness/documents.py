"""Sections of the guides that a benchmark writes, each between two markers."""

from pathlib import Path

from bench.harness.aims import Section

DOCS = Path(__file__).parents[2] / "docs" / "bench.md"


def with_section(text: str, section: str, *, begin: str, end: str) -> str:
    """Return a guide's text with the section between the markers replaced. Raises ValueError if a marker is missing."""
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the guide has no markers {begin} … {end}")
    return f"{before}{begin}\n{section}\n{end}{after}"


def markers(name: str) -> dict[str, str]:
    """Return the markers of a section of docs/bench.md, as arguments of `with_section`."""
    return {"begin": f"<!-- {name}: begin -->\n", "end": f"<!-- {name}: end -->\n"}


def documented_section(page: str, head: str, section: Section) -> str:
    """Return the page with the section's tables, under the machine and revision of its run. The page has a heading of its own."""
    _, _, tables = section.text.partition("\n")
    return with_section(page, f"{head}\n\n{tables.strip()}\n", **markers(section.marker))
