"""JSON objects from a server that may be older or newer than the client, or not Parley at all."""

import json
import math
from typing import Self


class Fields(dict[str, object]):
    """An untrusted JSON object. A field that is missing or has the wrong type reads as empty."""

    @classmethod
    def of(cls, value: object) -> Self:
        """Return the fields of `value`; empty unless it is an object."""
        return cls({str(name): field for name, field in value.items()}) if isinstance(value, dict) else cls()

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Return the fields of the JSON object in `text`; empty if `text` is not valid JSON."""
        try:
            return cls.of(json.loads(text))
        except (ValueError, RecursionError):
            return cls()

    def text(self, name: str) -> str:
        """Return a string field, or an empty string."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """Return a finite number, or None. Exact decimals arrive as strings and are converted."""
        value = self.get(name)
        try:
            number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def texts(self, name: str) -> list[str]:
        """Return the strings of a list, or an empty list."""
        value = self.get(name)
        return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []

    def part(self, name: str) -> Self:
        """Return a nested object, or an empty object."""
        return self.of(self.get(name))

    def parts(self, name: str) -> list[Self]:
        """Return a list of nested objects, or an empty list."""
        return self.list_of(self.get(name))

    @classmethod
    def list_of(cls, value: object) -> list[Self]:
        """Return the objects of a JSON array in order; an empty list unless `value` is an array."""
        return [cls.of(each) for each in value] if isinstance(value, list) else []
