from collections.abc import Iterator

import pytest

from parley.observability import traces
from parley.observability.settings import ObservabilitySettings
from tests.fakes.otlp_receiver import OtlpReceiver, running_otlp_receiver


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """Turn traces on, and return the receiver to which they are exported."""
    with running_otlp_receiver() as running:
        variables = {"PARLEY_TRACES_ENDPOINT": running.url, "PARLEY_TRACES_HEADERS": "x-api-key=secret", "PARLEY_STACK": "parley-test"}
        monkeypatch.setattr(traces, "_tracer", traces.Tracer(ObservabilitySettings.read(variables)))
        yield running
