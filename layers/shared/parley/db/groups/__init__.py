"""Groups of users: membership, invitations, and objects shared with groups."""
