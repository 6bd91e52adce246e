"""The API description, for programs and for people."""

from parley import cold_start  # isort: split

from functions.web.files import load
from functions.web.routes import router
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler
from parley.settings import HttpSettings

settings = HttpSettings.read()
app = create_app(router, settings=settings, document=load("openapi.json"), page=load("docs.html"))
handler = buffered_handler(app)
cold_start.finish()
