"""Users' files in S3, as far as this function shows them: by signed addresses."""

from functools import cache
from typing import Any

URL_LIFETIME_S = 24 * 3600


class Files:
    """The bucket that the other functions write to."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def signed_url(self, file_key: str) -> str:
        """Return an address by which anybody can read the file for 24 hours.

        On AWS it ends with the function's own credentials if they end before; asking again gives a new one.
        """
        parameters = {"Bucket": self._bucket, "Key": file_key}
        url: str = _s3().generate_presigned_url("get_object", Params=parameters, ExpiresIn=URL_LIFETIME_S)
        return url


@cache
def _s3() -> Any:
    import boto3  # only who asks for a file pays for it
    from botocore.config import Config

    # "virtual", or the address names S3 without a region: new buckets answer that with a redirect, which breaks the signature.
    return boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))
