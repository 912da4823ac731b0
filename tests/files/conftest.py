"""The object storage that tests of stored files use."""

from tests.cluster.conftest import s3_url

__all__ = ["s3_url"]
