"""What the stack costs a month, from list prices and a measured turn."""
