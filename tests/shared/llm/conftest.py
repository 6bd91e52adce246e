import pytest

from tests.fakes.vendor import running_vendor
from tests.fakes.wire_formats.all_formats import WIRE_FORMATS


@pytest.fixture
def vendor():
    """A fake vendor."""
    with running_vendor() as running:
        yield running


@pytest.fixture(params=WIRE_FORMATS, ids=lambda wire: wire.name)
def wire(request):
    """Each vendor's wire format in turn."""
    return request.param
