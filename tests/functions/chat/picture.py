"""The smallest pictures."""

import base64

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
PIXEL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
