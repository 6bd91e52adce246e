"""How much memory a process has used at most."""

from pathlib import Path


def peak_mb(pid: int) -> float | None:
    """Return the peak resident size in MB, or None where the system does not tell (only Linux does) or the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return round(int(line.split()[1]) / 1024, 1) if line else None
