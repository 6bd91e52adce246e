"""Groups of users: membership, invitations, and documents shared with groups."""
