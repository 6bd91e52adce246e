"""Users' files: each under a prefix that names its user, so that all of somebody's can be found."""

from uuid import UUID

from parley.aws.s3 import FileStore

# Every folder that holds users' files.
FOLDERS = ("exports", "documents", "uploads", "images")


class Files(FileStore):
    """The bucket."""

    def delete_all_of(self, user_id: UUID) -> int:
        """Delete every file of a user and return how many. Raises Unavailable if one may be left."""
        return sum(self.delete_under(f"{folder}/{user_id}/") for folder in FOLDERS)
