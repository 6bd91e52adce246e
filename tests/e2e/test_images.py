"""Images over real HTTP: sent to the vendor, and returned to their user."""

from tests.fakes.vendor import streams
from tests.support.images import PNG_BYTES, PNG_DATA_URL


def test_an_image_goes_to_the_vendor_and_can_be_read_again(stack, ada, vendor):
    vendor.script = streams("A dot.")
    asked = {"message": "what?", "model": "vendor", "images": [PNG_DATA_URL], "stream": False}
    made = ada.post("/chat", asked).json()
    content = vendor.last_body["messages"][-1]["content"]
    picture = ada.messages(made["conversation_id"])[0]["parts"][0]
    shown = ada.get(f"/chat/images/{picture['id']}").json()

    assert content == [{"type": "image_url", "image_url": {"url": PNG_DATA_URL}}, {"type": "text", "text": "what?"}]
    assert stack.http.get(shown["url"]).content == PNG_BYTES
