"""Which limit a stage's MethodSettings put on a method."""

from local.template.source import Fragment
from local.template.stack import Throttle


class Throttles:
    """The settings of one stage; the most exact one that sets a rate counts."""

    def __init__(self, settings: list[Fragment]) -> None:
        self._by_method: dict[tuple[str, str], Throttle] = {}
        for setting in settings:
            rate, burst = setting.get("ThrottlingRateLimit"), setting.get("ThrottlingBurstLimit")
            if rate is not None or burst is not None:
                path = "/" + str(setting["ResourcePath"]).replace("~1", "/").strip("/")
                self._by_method[path, str(setting["HttpMethod"]).upper()] = Throttle(
                    float(rate or burst or 0), int(float(burst or rate or 0))
                )

    def find(self, path: str, method: str) -> Throttle | None:
        """Return the limit of `method` on the path template, or None if it has none."""
        wanted = [(path, method), (path, "*"), ("/*", method), ("/*", "*")]
        return next((self._by_method[key] for key in wanted if key in self._by_method), None)
