"""A provider's stream, and the images of its requests."""

import pytest

from parley.errors import InvalidInput
from parley.llm.messages import Image, TextDelta
from parley.llm.provider import CancelHandle, ProviderStream
from tests.support.images import PNG_DATA_URL


def test_closing_a_stream_ends_the_providers_own_generator():
    ended = []

    def events():
        try:
            yield TextDelta("a")
            yield TextDelta("b")
        finally:
            ended.append(True)

    stream = ProviderStream(events(), CancelHandle())
    first = next(stream)
    stream.close()

    assert (first, list(stream), ended) == (TextDelta("a"), [], [True])


def test_a_stream_without_a_generator_is_closed_too():
    with ProviderStream(iter([TextDelta("a")]), CancelHandle()) as stream:
        pass

    assert list(stream) == []


def test_an_image_with_other_characters_among_its_base64_is_refused():
    assert Image.from_data_url(PNG_DATA_URL).media_type == "image/png"
    with pytest.raises(InvalidInput):
        Image.from_data_url(f"{PNG_DATA_URL[:-8]}!!!!{PNG_DATA_URL[-8:]}")
