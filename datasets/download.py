"""Fetch a publisher's file with pooch: streamed, retried, verified, and put in place only once it is complete."""

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
RECORD_SUFFIX = ".sha256"

logger = logging.getLogger(__name__)


class MissingData(DataError):
    """A dataset's file is not there and could not be fetched; the message says how to get it by hand."""


@dataclass(frozen=True)
class Remote:
    """Where a publisher offers a file. `digest` is "algorithm:hex" or None where none is known.

    `verified`: the digest is the publisher's own. A digest that others report and that could not be checked only
    leads to a warning.
    """

    url: str
    digest: str | None = None
    verified: bool = False

    @property
    def file_name(self) -> str:
        """The name under which the file is kept: the last part of the URL."""
        return self.url.rpartition("/")[2]


def fetch(remote: Remote, folder: Path) -> Path:
    """Download into `folder` and record the sha256 in a second file there.

    Raises MissingData if the file cannot be fetched, DataError if it does not match the publisher's digest.
    """
    import pooch  # not at the top: a command that downloads nothing needs neither
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
        headers={"Accept-Encoding": "identity"},  # the bytes as published, not as a server might wrap them
        hooks={"response": _stay_encrypted},
    )
    try:
        carrier.fetch(remote.file_name, downloader=downloader)
        _record(target)
    except requests.RequestException as error:
        raise MissingData(f"{remote.url}: cannot be downloaded ({_cause(error)}); {by_hand}") from error
    except OSError as error:
        raise MissingData(f"{target}: cannot be written ({error.strerror or error}); {by_hand}") from error
    except ValueError as error:
        raise DataError(f"{remote.url}: does not lead to the published file ({remote.digest}); {by_hand}") from error
    algorithm, _, expected = (remote.digest or "").partition(":")
    if expected and pooch.file_hash(str(target), alg=algorithm) != expected:
        logger.warning("%s: its digest differs from the one that others report (%s)", target, remote.digest)
    return target


def check_recorded(path: Path) -> None:
    """Raise DataError if the file has changed since it was downloaded; a file without a record is not checked."""
    record = _record_of(path)
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


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + RECORD_SUFFIX)


def _record(path: Path) -> None:
    """Write what `sha256sum --check` reads; a reader finds the old record or the new one, never half of one."""
    part = path.with_name(f".{path.name}{RECORD_SUFFIX}.{os.getpid()}")
    part.write_text(f"{_sha256(path)}  {path.name}\n", encoding="utf-8")
    part.replace(_record_of(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stay_encrypted(response: Response, **_: object) -> None:
    """Refuse a redirection away from https, where the file could be changed on its way."""
    import requests

    target = urljoin(response.url, response.headers.get("location", ""))
    if response.is_redirect and response.url.startswith("https:") and not target.startswith("https:"):
        raise requests.exceptions.InvalidSchema(target)


def _cause(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.InvalidSchema):
        return f"the server redirects to {error}, which is not https"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no answer in {TIMEOUT_SECONDS} s"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
