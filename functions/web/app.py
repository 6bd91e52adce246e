"""The web page, and the API description for programs and for people."""

from parley.http import cold_start  # isort: split

from functions.web.files import load, load_page
from functions.web.routes import router
from parley.http.app import create_app
from parley.http.streaming import streaming_handler
from parley.settings import HttpSettings


class WebSettings(HttpSettings):
    """The origins, separated by spaces, to which the page may send upload forms; empty for none."""

    upload_origins: str = ""


settings = WebSettings.read()
page = load_page(upload_origins=settings.upload_origins.split())
app = create_app(router, settings=settings, description=load("openapi.json"), docs=load("docs.html"), page=page)
# Streamed, because a buffered response carries compressed files only as base64, which API Gateway decodes or not
# depending on the client's Accept header (docs/adr/0027).
handler = streaming_handler(app)
cold_start.finish()
