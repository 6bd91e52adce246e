"""Write the document and its page: `python -m openapi`, or `make openapi`."""

from openapi.files import written

for path, text in written().items():
    path.write_text(text)
