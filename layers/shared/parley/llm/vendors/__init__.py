"""One module per vendor API. A vendor's SDK is imported only when one of its models is called."""
