"""The one OpenAPI document of all functions, and the page that shows it: made by `make openapi`, served by `functions/web`."""
