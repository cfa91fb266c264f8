"""Downloads from a local server: digests, recorded files, failures and their messages."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from datasets import download
from datasets.download import MissingData, Remote, fetch, verify_download
from datasets.interactions import DataError

CONTENT = b"userid,itemid,timestamp\n" + b"1,2,3\n" * 50_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    failures = 0

    def do_GET(self) -> None:
        kind = self.path.strip("/").partition("-")[0]
        if kind == "absent":
            self.send_error(404)
            return
        if kind == "flaky" and Handler.failures < 2:
            Handler.failures += 1
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if kind == "cut" else CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RETRIES", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("digest", [None, f"md5:{MD5}", f"sha256:{SHA256}"])
def test_fetch_places_and_records(server: str, tmp_path: Path, digest: str | None) -> None:
    path = fetch(Remote(f"{server}/good-file.csv", digest, verified=digest is not None), tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert names_in(path.parent) == ["good-file.csv", "good-file.csv.sha256"]
    assert (path.parent / "good-file.csv.sha256").read_text() == f"{SHA256}  good-file.csv\n"
    verify_download(path)


def test_the_record_is_replaced_and_never_written_in_place(server: str, tmp_path: Path) -> None:
    record, reader = tmp_path / "good-file.csv.sha256", tmp_path / "still-open"
    record.write_text("the old record\n")
    reader.hardlink_to(record)
    fetch(Remote(f"{server}/good-file.csv"), tmp_path)
    assert record.read_text() == f"{SHA256}  good-file.csv\n"
    assert reader.read_text() == "the old record\n"


def test_a_failed_write_leaves_no_partial_record(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(path: Path, text: str, **options: Any) -> int:
        path.write_bytes(text.encode()[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(MissingData, match="No space left on device"):
        fetch(Remote(f"{server}/good-file.csv"), tmp_path)
    assert not (tmp_path / "good-file.csv.sha256").exists()


def test_a_file_changed_after_download_is_refused(server: str, tmp_path: Path) -> None:
    path = fetch(Remote(f"{server}/good-file.csv"), tmp_path)
    path.write_bytes(CONTENT[:-6])
    with pytest.raises(DataError, match=r"is not the file that was downloaded.*delete both") as error:
        verify_download(path)
    assert str(path) in str(error.value)
    (tmp_path / "good-file.csv.sha256").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"cannot be compared with good-file.csv.sha256 .*delete"):
        verify_download(path)
    (tmp_path / "good-file.csv.sha256").unlink()
    verify_download(path)


def test_a_wrong_verified_digest_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the digest is not the published one.*by hand") as error:
        fetch(Remote(f"{server}/good-file.csv", "md5:" + "0" * 32, verified=True), tmp_path)
    assert not isinstance(error.value, MissingData)
    assert names_in(tmp_path) == []


def test_a_wrong_unverified_digest_only_warns(server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        path = fetch(Remote(f"{server}/good-file.csv", "sha256:" + "0" * 64), tmp_path)
    assert "its digest differs from the one that others report (sha256:000" in caplog.text
    verify_download(path)
    caplog.clear()
    fetch(Remote(f"{server}/good-other.csv", f"sha256:{SHA256}"), tmp_path)
    assert "differs" not in caplog.text


def test_failures_are_retried(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RETRIES", 3)
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert fetch(Remote(f"{server}/flaky-file.csv"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("kind", "reason"), [("absent", "the server answered 404"), ("cut", "cannot be downloaded")])
def test_failures_say_what_to_do_and_leave_nothing(server: str, tmp_path: Path, kind: str, reason: str) -> None:
    url = f"{server}/{kind}-file.csv"
    with pytest.raises(MissingData, match=reason) as error:
        fetch(Remote(url), tmp_path)
    assert f"download {url} by hand and put it into {tmp_path}" in str(error.value)
    assert "\n" not in str(error.value)
    assert names_in(tmp_path) == []


def test_a_redirection_away_from_https_is_not_followed(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = requests.adapters.HTTPAdapter.send

    def redirect_if_encrypted(adapter: Any, request: Any, **options: Any) -> requests.Response:
        if not request.url.startswith("https:"):
            return send(adapter, request, **options)
        response = requests.Response()
        response.status_code, response.url, response.request, response.raw = 302, request.url, request, io.BytesIO()
        response.headers["location"] = f"{server}/good-file.csv"
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirect_if_encrypted)
    with pytest.raises(MissingData, match=r"the server redirects to http://.*, which is not https"):
        fetch(Remote("https://publisher.invalid/good-file.csv"), tmp_path)
    assert names_in(tmp_path) == []
    assert fetch(Remote(f"{server}/good-file.csv"), tmp_path).read_bytes() == CONTENT


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"http://127.0.0.1:9/x.csv: cannot be downloaded \(no connection\)"):
        fetch(Remote("http://127.0.0.1:9/x.csv"), tmp_path)


def test_a_folder_that_cannot_be_written(server: str, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_bytes(b"")
    with pytest.raises(MissingData, match="cannot be written") as error:
        fetch(Remote(f"{server}/good-file.csv"), blocker / "folder")
    assert "\n" not in str(error.value)
