"""JSON objects as they come from a server that may be older, newer or not Parley at all."""

import json
import math
from typing import Self


class Fields(dict[str, object]):
    """A JSON object read without trust: a field that is missing or of another type reads as empty."""

    @classmethod
    def of(cls, value: object) -> Self:
        """Return `value` as fields; anything but an object has none."""
        return cls({str(name): field for name, field in value.items()}) if isinstance(value, dict) else cls()

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Return the JSON object in `text`; text that is no JSON has no fields."""
        try:
            return cls.of(json.loads(text))
        except (ValueError, RecursionError):
            return cls()

    def text(self, name: str) -> str:
        """Return a string field, or the empty string."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """Return a finite number, also one that is written as a string (exact decimals), or None."""
        value = self.get(name)
        try:
            number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def part(self, name: str) -> Self:
        """Return a nested object, or one without fields."""
        return self.of(self.get(name))

    def parts(self, name: str) -> list[Self]:
        """Return a list of nested objects, or an empty list."""
        return self.list_of(self.get(name))

    @classmethod
    def list_of(cls, value: object) -> list[Self]:
        """Return a JSON array's objects in order; anything but an array has none."""
        return [cls.of(each) for each in value] if isinstance(value, list) else []
