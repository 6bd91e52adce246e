"""SCIM 2.0: the identity provider creates, changes and disables accounts, and manages groups (RFC 7643 and 7644)."""
