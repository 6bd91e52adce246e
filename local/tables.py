"""Status as a table for people."""

from typing import Any


def status_table(status: dict[str, Any]) -> str:
    """Return what `/_local/status` says, as aligned text."""
    functions = [_function(one) for one in status["functions"]]
    schedules = [(one["name"], one["function"], one["expression"], one["next_run"] or "-") for one in status["schedules"]]
    queues = [_queue(one) for one in status["queues"]]
    buckets = [(one["name"], str(one["objects"]), f"{one['bytes'] / 1_000_000:.1f}") for one in status["buckets"]]
    services = [(name, _service(one)) for name, one in status["services"].items()]
    sections = [
        _aligned([("FUNCTION", "IDLE", "BUSY", "CALLS", "ERRORS", "PEAK MB"), *functions]),
        _aligned([("SCHEDULE", "FUNCTION", "EXPRESSION", "NEXT"), *schedules]) if schedules else "",
        _aligned([("QUEUE", "VISIBLE", "IN FLIGHT", "DELAYED", "DEAD LETTERS GO TO"), *queues]) if queues else "",
        _aligned([("BUCKET", "OBJECTS", "MB"), *buckets]) if buckets else "",
        _aligned([("SERVICE", ""), *services]) if services else "",
    ]
    return "\n\n".join(section for section in sections if section)


def _function(one: dict[str, Any]) -> tuple[str, ...]:
    workers = one["workers"]
    figures = (workers["idle"], workers["busy"], one["invocations"], one["errors"], f"{one['peak_mb']:.0f}")
    return (one["name"], *(str(figure) for figure in figures))


def _queue(one: dict[str, Any]) -> tuple[str, ...]:
    return (one["name"], str(one["visible"]), str(one["in_flight"]), str(one["delayed"]), one["dead_letters"] or "-")


def _service(one: dict[str, Any] | None) -> str:
    if one is None:
        return "not used"
    return f"{'running' if one['running'] else 'down'} on port {one['port']}"


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
