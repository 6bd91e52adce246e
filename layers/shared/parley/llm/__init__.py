"""Language models: vendor-neutral messages, the model catalogue, the router, and one module per vendor."""
