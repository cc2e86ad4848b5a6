"""Downloads that break off, are slow or send wrong bytes, from a server on this machine."""

import contextlib
import hashlib
import io
import random
import socket
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alexnet.data import cifar10, download
from alexnet.data.download import DownloadProgress, Published, bring
from alexnet.data.image_sets import pack
from alexnet.errors import Refused

CONTENT = random.Random(0).randbytes(500_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        assert isinstance(server, Server)
        asked = self.headers["Range"]
        server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.knows_ranges else 0
        rest = server.content[start:]
        self.send_response(206 if start else 200)
        if server.tells_length:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        sent = server.cuts.pop(0) if server.cuts else len(rest)
        with contextlib.suppress(ConnectionError):
            self.wfile.write(rest[:sent])

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.knows_ranges, self.tells_length = CONTENT, True, True
        self.cuts: list[int] = []
        """How many bytes each answer has; the later ones are whole."""
        self.asked: list[str | None] = []
        """The ranges that were asked for."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/set.tar.gz"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def published(url: str) -> Published:
    return Published("a set", url, len(CONTENT), MD5)


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_download_that_is_cut_goes_on_where_it_was(server, tmp_path, tells_length):
    server.cuts, server.tells_length = [100_000, 0, 0, 150_000], tells_length
    bring(published(server.url), tmp_path / "set.tar.gz")
    assert server.asked == [None, *["bytes=100000-"] * 3, "bytes=250000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["set.tar.gz"]
    assert (tmp_path / "set.tar.gz").read_bytes() == CONTENT


def test_a_server_that_cannot_begin_in_the_middle_sends_it_from_the_first_byte(server, tmp_path):
    server.cuts, server.knows_ranges = [100_000], False
    bring(published(server.url), tmp_path / "set.tar.gz")
    assert (tmp_path / "set.tar.gz").read_bytes() == CONTENT and len(server.asked) == 2


def interrupted(server: Server, monkeypatch, path: Path) -> None:
    def interrupt(_, have: int):
        if have == 100_000:
            raise KeyboardInterrupt

    server.cuts = [100_000]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(DownloadProgress, "at", interrupt)
        bring(published(server.url), path)


def given_up(server: Server, monkeypatch, path: Path) -> None:
    server.cuts = [100_000, 0, 0, 0]
    with pytest.raises(ConnectionError, match="ended too early"):
        bring(published(server.url), path)


@pytest.mark.parametrize("end", [interrupted, given_up])
def test_the_next_call_goes_on_where_one_ended(server, monkeypatch, tmp_path, end):
    path = tmp_path / "set.tar.gz"
    end(server, monkeypatch, path)
    assert not path.exists() and download.kept_of(path) == 100_000
    server.asked.clear()
    bring(published(server.url), path)
    assert server.asked == ["bytes=100000-"] and path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kept", [b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1)], ids=["less", "all", "more"])
def test_what_an_earlier_download_left_damaged_is_brought_anew(server, tmp_path, kept):
    (tmp_path / ".set.tar.gz.part.0").write_bytes(kept)
    bring(published(server.url), tmp_path / "set.tar.gz")
    assert (tmp_path / "set.tar.gz").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content, tells_length, words",
    [
        (CONTENT[::-1], True, "its MD5 is not"),
        (b"<html>Log in</html>", True, "sends 19 bytes, not 500,000"),
        (CONTENT + b"x", True, "sends 500,001 bytes, not 500,000"),
        (CONTENT + b"x", False, "sends more than 500,000 bytes"),
    ],
    ids=["other bytes", "another page", "longer", "longer without a word"],
)
def test_other_bytes_are_refused_and_nothing_of_them_stays(server, tmp_path, content, tells_length, words):
    server.content, server.tells_length = content, tells_length
    with pytest.raises(ValueError, match=words):
        bring(published(server.url), tmp_path / "set.tar.gz")
    assert list(tmp_path.iterdir()) == [] and len(server.asked) == 1


def test_two_processes_write_to_parts_of_their_own(server, tmp_path):
    path = tmp_path / "set.tar.gz"
    with download._part_of(path) as (name, part):
        part.write(b"of another process")
        bring(published(server.url), path)
        assert path.read_bytes() == CONTENT and name.read_bytes() == b"of another process"


def test_nothing_is_written_through_a_link_in_the_place_of_a_part(server, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"somebody's")
    (tmp_path / ".set.tar.gz.part.0").symlink_to(target)
    bring(published(server.url), tmp_path / "set.tar.gz")
    assert target.read_bytes() == b"somebody's" and (tmp_path / "set.tar.gz").read_bytes() == CONTENT


def test_each_tenth_and_each_minute_are_told_and_once_how_else_it_may_come(tmp_path, capsys):
    came = [(1, 1), (10, 10_000_000), (20, 15_000_000), (50, 20_000_000), (60, 20_500_000), (110, 21_000_000)]
    clock = iter([0, *(second for second, _ in came)])
    published = Published("A set", "http://there/set.tar.gz", 100_000_000, "0" * 32)
    progress = DownloadProgress(published, tmp_path, 0, lambda: next(clock))
    for _, have in came:
        progress.at(have)
    printed = capsys.readouterr().err.splitlines()
    assert printed == [
        f"downloading A set, 100.0 MB, from http://there/set.tar.gz to {tmp_path}",
        "A set: 10.0 of 100.0 MB, 1.00 MB/s, about 2 min left",  # 90 MB at 1 MB/s
        "A set: 20.0 of 100.0 MB, 0.40 MB/s, about 3 min left",  # 80 MB at 0.4 MB/s
        f"this is slow: set.tar.gz (100,000,000 bytes, MD5 {'0' * 32}) can be copied there by hand ({tmp_path}); if "
        "stopped, the same command continues from here",
        "A set: 21.0 of 100.0 MB, 0.19 MB/s, about 7 min left",  # 79 MB at 21 MB in 110 s
    ]


# ---- CIFAR-10 --------------------------------------------------------------------------------------------------------


@pytest.fixture
def archive(server, monkeypatch) -> bytes:
    """The server's content: what CIFAR-10's archive is said to be, with one file in it."""
    from torchvision.datasets import CIFAR10

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo(f"{cifar10.FOLDER}/data_batch_1")
        info.size = len(CONTENT)
        tar.addfile(info, io.BytesIO(CONTENT))
    server.content = buffer.getvalue()
    monkeypatch.setattr(CIFAR10, "url", server.url)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(server.content).hexdigest())
    monkeypatch.setattr(cifar10, "ARCHIVE_BYTES", len(server.content))
    return server.content


def test_cifar10_says_what_is_kept_of_it_and_goes_on(server, archive, tmp_path):
    folder = tmp_path / "data"
    server.cuts = [100_000, 0, 0, 0]
    why = cifar10.download(folder)
    assert "100,000 bytes of it are kept; the same command continues from there" in why and "copied there by hand" in why
    assert cifar10.download(folder) == "" and server.asked[-1] == "bytes=100000-"
    assert (folder / cifar10.FOLDER / "data_batch_1").read_bytes() == CONTENT


def test_without_a_way_to_the_server_cifar10_says_so_at_once_and_leaves_nothing(server, archive, tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    calls, real = [], download.urlopen
    monkeypatch.setattr(download, "urlopen", lambda *args, **options: calls.append(args) or real(*args, **options))
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # nobody listens there
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{deaf.getsockname()[1]}/set.tar.gz")
        why = cifar10.download(tmp_path / "data")
    assert "Connection refused" in why and f"({len(archive):,} bytes, MD5" in why and len(calls) == 1
    assert not (tmp_path / "data").exists()


def test_cifar10s_archive_that_was_laid_there_by_hand_is_taken_without_a_download(server, archive, tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive)
    assert cifar10.download(tmp_path) == "" and server.asked == []
    assert (tmp_path / cifar10.FOLDER / "data_batch_1").read_bytes() == CONTENT


def test_a_folder_that_was_named_gets_no_download_and_what_it_lacks_is_told(server, archive, tmp_path):
    with pytest.raises(Refused, match=rf"^source: CIFAR-10 is not under {tmp_path} .*a folder with {cifar10.FOLDER} in it"):
        pack("cifar10", tmp_path / "data", tmp_path)
    assert server.asked == [] and list(tmp_path.iterdir()) == []


def test_another_archive_laid_there_by_hand_is_named_and_never_unpacked(server, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "unpack", lambda *_: pytest.fail("it was unpacked"))
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive[:-10])
    server.content = archive[::-1]
    why = cifar10.download(tmp_path)
    assert f"there is a different file ({len(archive) - 10:,} bytes)" in why and "is damaged: its MD5 is not" in why
