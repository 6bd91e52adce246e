"""Write the document and its page: `python -m openapi`, or `make openapi`."""

from openapi.files import render_files

for path, text in render_files().items():
    path.write_text(text)
