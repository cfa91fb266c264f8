"""Download a publisher's file with pooch: streamed, retried, verified, and put in place only when it is complete."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from datasets.interactions import DataError

if TYPE_CHECKING:
    from requests import Response

RETRIES = 3
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 16

logger = logging.getLogger(__name__)


class MissingData(DataError):
    """Raised if a file is missing and cannot be downloaded. The message says how to get it by hand."""


@dataclass(frozen=True)
class Remote:
    """The address of a publisher's file."""

    url: str
    digest: str | None = None  # "algorithm:hex"
    verified: bool = False  # whether the digest is the publisher's own; any other only causes a warning

    @property
    def file_name(self) -> str:
        """The last part of the URL, which is also the name of the local file."""
        return self.url.rpartition("/")[2]


def fetch(remote: Remote, folder: Path) -> Path:
    """Download into `folder`, write the file's sha256 next to it, and return its path.

    Raises MissingData if the file cannot be downloaded, DataError if it does not match the publisher's digest.
    """
    import pooch  # imported here because most commands download nothing
    import requests

    target = folder / remote.file_name
    by_hand = f"download {remote.url} by hand and put it into {folder}"
    carrier = pooch.create(
        path=folder,
        base_url="",
        registry={remote.file_name: remote.digest if remote.verified else None},
        urls={remote.file_name: remote.url},
        retry_if_failed=RETRIES,
    )
    pooch.get_logger().setLevel(logging.ERROR)
    logger.warning("downloading %s to %s", remote.url, target)
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=CHUNK_BYTES,
        timeout=TIMEOUT_SECONDS,
        headers={"Accept-Encoding": "identity"},  # do not let the server compress the published bytes again
        hooks={"response": _refuse_unencrypted_redirect},
    )
    try:
        carrier.fetch(remote.file_name, downloader=downloader)
        _write_digest(target)
    except requests.RequestException as error:
        raise MissingData(f"{remote.url}: cannot be downloaded ({_reason(error)}); {by_hand}") from error
    except OSError as error:
        raise MissingData(f"{target}: cannot be written ({error.strerror or error}); {by_hand}") from error
    except ValueError as error:
        raise DataError(f"{remote.url}: the digest is not the published one ({remote.digest}); {by_hand}") from error
    algorithm, _, expected = (remote.digest or "").partition(":")
    if expected and pooch.file_hash(str(target), alg=algorithm) != expected:
        logger.warning("%s: its digest differs from the one that others report (%s)", target, remote.digest)
    return target


def verify_download(path: Path) -> None:
    """Raise DataError if a downloaded file has changed since. A file without a recorded digest is not checked."""
    record = _digest_path(path)
    if not record.exists():
        return
    try:
        recorded, found = record.read_text(encoding="utf-8").split()[:1], _sha256(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be compared with {record.name} ({error}); delete {record.name} to accept the file as it is"
        ) from error
    if recorded != [found]:
        raise DataError(
            f"{path}: is not the file that was downloaded, its sha256 differs from {record.name}; "
            f"delete both to download again, or {record.name} alone to accept the file as it is"
        )


def _digest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _write_digest(path: Path) -> None:
    """Write the file's digest atomically, in the format of `sha256sum --check`."""
    part = path.with_name(f".{path.name}.sha256.{os.getpid()}")
    part.write_text(f"{_sha256(path)}  {path.name}\n", encoding="utf-8")
    part.replace(_digest_path(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refuse_unencrypted_redirect(response: Response, **_: object) -> None:
    """Refuse a redirect from https to http, where the file could be altered in transit."""
    import requests

    target = urljoin(response.url, response.headers.get("location", ""))
    if response.is_redirect and response.url.startswith("https:") and not target.startswith("https:"):
        raise requests.exceptions.InvalidSchema(target)


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.InvalidSchema):
        return f"the server redirects to {error}, which is not https"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no answer in {TIMEOUT_SECONDS} s"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
