"""A transfer that breaks is continued, and what comes out is the file, or the error says why not."""

import email.utils
import fcntl
import gzip
import hashlib
import http.server
import io
import json
import logging
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
import zipfile
from pathlib import Path

import project_runs
import pytest

from repurpose.core.errors import InputError
from repurpose.ingest import download, transfer

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Jobs in the background of a shell ignore Ctrl-C, and so do the programs that they start.
FETCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from repurpose.ingest import download
download.fetch(*sys.argv[2:])
"""
MEGABYTE = 1 << 20
ROWS = b"relation,x_id\n" + b"".join(b"likes,%d\n" % number for number in range(400_000))  # 5 MB
OTHER = ROWS.replace(b"likes", b"hates")
PAGE = b"<!doctype html><html><body>Please log in</body></html>\n"
DATE = email.utils.formatdate(1_700_000_000, usegmt=True)


class Site:
    """What the server has, how it fails (one entry of `faults` per request), and what it was asked."""

    def __init__(self):
        self.content, self.tag, self.date = ROWS, '"first"', ""
        self.faults, self.requests = [], []
        self.ignores_ranges = False

    @property
    def ranges(self):
        """The Range of each request; "" for a request of the whole file."""
        return [headers.get("Range", "") for headers in self.requests]


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file with ranges, and fails as the site says."""

    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site = self.site
        site.requests.append(dict(self.headers))
        fault, number = (site.faults.pop(0) if site.faults else ("", 0)) or ("", 0)
        self.close_connection = True
        if fault == "status":
            return self.answer(number, b"no")
        if fault == "redirect":
            return self.answer(302, b"", {"Location": number})
        if fault == "length":
            return self.answer(200, b"relation,x_id\n", {"Content-Length": number})
        if fault == "chunked":  # sends a part of the content in chunks, and no end
            self.answer(200, b"", {"Transfer-Encoding": "chunked"})
            self.wfile.write(b"%x\r\n%s\r\n" % (number, site.content[:number]))
            return None
        begin, headers = 0, {}
        if site.tag:
            headers["ETag"] = site.tag
        if site.date:
            headers["Last-Modified"] = site.date
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same = self.headers.get("If-Range", site.tag) in (site.tag, site.date)
        if asked and is_same and not site.ignores_ranges:
            begin = int(asked[1])
            if begin >= len(site.content):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(site.content)}"})
            shift = number if fault == "shifted" else 0
            total = "*" if fault == "unknown" else len(site.content)
            headers["Content-Range"] = f"bytes {begin + shift}-{len(site.content) - 1}/{total}"
        rest = site.content[begin:]
        headers["Content-Length"] = str(len(rest))
        if fault == "lengthless":
            del headers["Content-Length"]
        if fault == "wrong":
            rest = rest[:-10] + b"x" * 10
        self.answer(206 if begin else 200, rest[:number] if fault in ("cut", "stall") else rest, headers)
        if fault == "stall":
            time.sleep(3)
        return None

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


@pytest.fixture(name="site")
def served():
    """A site and its address, `site.url`."""
    site = Site()
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}/kg.csv"
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture(name="path")
def path_of_table(tmp_path):
    return tmp_path / "data" / "kg.csv"


def names(path):
    """The files that a download left in its folder."""
    return sorted(file.name for file in path.parent.iterdir())


def fetch(site, path, pauses=(), stated=""):
    download.fetch(f"{site.url}{stated}", path, pauses=pauses)
    return path.read_bytes()


def test_a_transfer_that_breaks_is_continued_where_it_broke(site, path):
    site.faults = [("cut", 2 * MEGABYTE), ("cut", MEGABYTE)]
    assert fetch(site, path, pauses=(0, 0)) == ROWS
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-", f"bytes={3 * MEGABYTE}-"]
    assert [headers.get("If-Range") for headers in site.requests] == [None, '"first"', '"first"']
    assert names(path) == ["kg.csv", "kg.csv.sha256"]


def test_a_transfer_is_continued_by_the_next_run(site, path):
    site.faults = [("cut", 2 * MEGABYTE)]
    with pytest.raises(InputError, match=r"later; 2\.1 MB are kept, and the next run continues after them$"):
        fetch(site, path)
    assert names(path) == [".kg.csv.part", ".kg.csv.part.json"]
    assert fetch(site, path) == ROWS
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-"]
    assert names(path) == ["kg.csv", "kg.csv.sha256"]


def test_a_kept_part_of_a_file_that_changed_meanwhile_is_not_used(site, path):
    site.faults = [("cut", 2 * MEGABYTE)]
    with pytest.raises(InputError):
        fetch(site, path)
    site.content, site.tag = OTHER, '"second"'
    assert fetch(site, path) == OTHER


def test_a_kept_part_of_another_address_is_not_used(site, path):
    site.faults = [("cut", 2 * MEGABYTE)]
    with pytest.raises(InputError):
        fetch(site, path)
    download.fetch(f"{site.url}?version=2", path)
    assert site.ranges == ["", ""]


@pytest.mark.parametrize("notes", ["", "[]", '{"url": 5}', None])
def test_a_kept_part_without_sound_notes_is_not_used(site, path, notes):
    path.parent.mkdir()
    path.with_name(".kg.csv.part").write_bytes(OTHER[:MEGABYTE])
    if notes is not None:
        path.with_name(".kg.csv.part.json").write_text(notes)
    assert fetch(site, path) == ROWS
    assert site.ranges == [""]


def test_a_file_that_was_complete_when_its_run_was_killed_is_not_transferred_again(site, path):
    path.parent.mkdir()
    path.with_name(".kg.csv.part").write_bytes(ROWS)
    notes = {"url": site.url, "validator": '"first"', "size": len(ROWS), "redirected": ""}
    path.with_name(".kg.csv.part.json").write_text(json.dumps(notes))
    assert fetch(site, path) == ROWS
    assert site.requests == []


def test_a_server_without_ranges_sends_the_whole_file_again(site, path):
    site.ignores_ranges = True
    site.faults = [("cut", 2 * MEGABYTE)]
    assert fetch(site, path, pauses=(0,)) == ROWS
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-"]


def test_a_date_of_change_serves_if_the_tag_is_weak(site, path):
    site.tag, site.date = 'W/"first"', DATE
    site.faults = [("cut", 2 * MEGABYTE)]
    assert fetch(site, path, pauses=(0,)) == ROWS
    assert site.requests[1]["If-Range"] == DATE


def test_nothing_is_continued_if_nobody_can_tell_whether_it_is_the_same_file(site, path):
    site.tag = 'W/"first"'
    site.faults = [("cut", 2 * MEGABYTE)] * 2
    with pytest.raises(InputError, match=r"or try again later$"):
        fetch(site, path, pauses=(0,))
    assert site.ranges == ["", ""]
    assert names(path) == []


def test_a_stated_checksum_is_proof_enough_to_continue(site, path):
    site.tag = ""
    site.faults = [("cut", 2 * MEGABYTE)]
    assert fetch(site, path, (0,), f"#md5={hashlib.md5(ROWS).hexdigest()}") == ROWS
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-"]


def test_a_continued_file_that_fails_its_checks_is_transferred_once_more_as_a_whole(site, path, caplog):
    site.faults = [("cut", 2 * MEGABYTE), ("wrong", 0)]
    assert fetch(site, path, (0,), f"#sha256={hashlib.sha256(ROWS).hexdigest()}") == ROWS
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-", ""]
    assert "its parts came one after another, so it is downloaded anew" in caplog.text


@pytest.mark.parametrize("fault", [("shifted", 1), ("shifted", -1), ("status", 416)], ids=str)
def test_a_rest_that_does_not_fit_is_not_added(site, path, fault):
    site.faults = [("cut", 2 * MEGABYTE), fault]
    assert fetch(site, path, pauses=(0, 0)) == ROWS
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-", ""]


def test_a_rest_of_a_file_of_unknown_size_must_be_complete_too(site, path):
    site.faults = [("lengthless", 0)]
    assert fetch(site, path) == ROWS
    site.faults = [("cut", 2 * MEGABYTE), ("unknown", 0)]
    assert fetch(site, path, pauses=(0,)) == ROWS


def test_each_step_forward_gives_new_tries_but_no_step_ends_them(site, path):
    site.faults = [("cut", MEGABYTE)] * 4
    assert fetch(site, path, pauses=(0,)) == ROWS
    site.faults, site.requests = [("cut", 100)] * 9, []
    with pytest.raises(InputError, match="broke off"):
        download.fetch(site.url, path.with_name("other.csv"), pauses=(0, 0))
    assert len(site.requests) == 3


def test_a_stalled_transfer_is_ended_and_continued(site, path, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.3)
    site.faults = [("stall", 2 * MEGABYTE)]
    assert fetch(site, path, pauses=(0,)) == ROWS
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-"]


def test_a_chunked_transfer_without_an_end_is_not_taken_for_complete(site, path):
    site.faults = [("chunked", ROWS.index(b"\n", MEGABYTE) + 1)]
    with pytest.raises(InputError, match=r"cannot be downloaded \(IncompleteRead"):
        fetch(site, path)
    assert not path.exists()


@pytest.mark.parametrize("length", ["12x", "-5", "+5", "1_0", "12, 12", "1e3", "٣"])
def test_a_length_that_is_no_number_is_an_error_and_not_unknown(site, path, length):
    site.faults = [("length", length.encode().decode("latin-1"))] * 2
    with pytest.raises(
        InputError, match=r"\(the server announces '.*' bytes, which is no number\); .*later$"
    ):
        fetch(site, path, pauses=(0,))
    assert len(site.requests) == 2
    assert names(path) == []


def test_a_request_that_fails_after_a_break_keeps_what_arrived(site, path):
    path.parent.mkdir()
    path.write_bytes(b"good")
    site.faults = [("cut", 2 * MEGABYTE), ("status", 404)]
    with pytest.raises(InputError, match=r"HTTP 404.*correct the address; 2\.1 MB are kept"):
        fetch(site, path, pauses=(0, 0))
    assert path.read_bytes() == b"good"
    assert fetch(site, path) == ROWS


# ---- what the URL states, and what was downloaded first ----


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        (f"#md5={'0' * 32}", f"has the MD5 {hashlib.md5(ROWS).hexdigest()}, not the one"),
        (f"#sha256={'0' * 64}", f"has the SHA-256 {hashlib.sha256(ROWS).hexdigest()}, not the one"),
        ("#size=7", f"has {len(ROWS):,} bytes, not the 7 that its address asks for"),
        (f"#size={len(ROWS) + 1}", f"has {len(ROWS):,} bytes, not the {len(ROWS) + 1:,} that"),
    ],
)
def test_a_good_file_is_not_replaced_by_another_than_the_stated_one(site, path, stated, sentence):
    path.parent.mkdir()
    path.write_bytes(b"good")
    with pytest.raises(InputError, match=sentence):
        fetch(site, path, stated=stated)
    assert path.read_bytes() == b"good"
    assert names(path) == ["kg.csv"]


def test_a_file_as_stated_is_kept_without_a_digest_of_its_own(site, path):
    stated = f"#md5={hashlib.md5(ROWS).hexdigest().upper()}&size={len(ROWS)}"
    assert fetch(site, path, stated=stated) == ROWS
    assert names(path) == ["kg.csv"]


def test_a_file_without_an_announced_length_ends_at_the_stated_size(site, path):
    site.faults = [("lengthless", 0)]
    with pytest.raises(InputError, match="bytes, not the 2,000,000 that its address asks for"):
        fetch(site, path, stated="#size=2000000")
    assert names(path) == []


def test_a_web_page_is_named_as_such_whatever_was_stated(site, path):
    site.content = PAGE
    with pytest.raises(InputError, match="not kept, because it is named as text but holds a web page"):
        fetch(site, path, stated=f"#size={len(ROWS)}&sha256={'0' * 64}")
    assert names(path) == []


def test_a_download_must_be_the_same_as_the_first_one(site, path):
    fetch(site, path)
    kept = path.with_name("kg.csv.sha256")
    assert kept.read_text() == f"{hashlib.sha256(ROWS).hexdigest()}  kg.csv\n"
    site.content, site.tag = OTHER, '"second"'
    with pytest.raises(
        InputError, match=rf"at its first download: it changed; if .* delete {re.escape(str(kept))}$"
    ):
        fetch(site, path)
    assert path.read_bytes() == ROWS
    kept.unlink()
    assert fetch(site, path) == OTHER
    kept.write_text("nonsense")
    with pytest.raises(InputError, match=r"kg\.csv\.sha256 does not begin with a SHA-256: delete it"):
        fetch(site, path)
    assert path.read_bytes() == OTHER


def test_what_outlives_a_call_may_be_in_another_folder(site, path, tmp_path):
    site.faults = [("cut", 2 * MEGABYTE)]
    keep = tmp_path / "keep"
    with pytest.raises(InputError, match="are kept"):
        download.fetch(site.url, path, keep, pauses=())
    assert names(path) == []
    download.fetch(site.url, path, keep, pauses=())
    assert (path.read_bytes(), names(path), names(keep / "x")) == (ROWS, ["kg.csv"], ["kg.csv.sha256"])


# ---- redirections ----


def test_a_redirection_between_pages_of_the_web_is_followed(site, path):
    site.faults = [("redirect", "/elsewhere.csv")]
    assert fetch(site, path) == ROWS


@pytest.mark.parametrize("target", ["ftp://a.org/kg.csv", "file:///etc/passwd", "data:text/csv,a"])
def test_a_redirection_out_of_the_web_is_refused(site, path, target):
    site.faults = [("redirect", target)]
    with pytest.raises(
        InputError, match=rf"kg\.csv leads to {target}, which is no address of the web: look for"
    ):
        fetch(site, path, pauses=(0,))
    assert (len(site.requests), names(path)) == (1, [])


def test_an_endless_redirection_is_an_error_of_one_line(site, path):
    site.faults = [("redirect", "/kg.csv")] * 30
    with pytest.raises(InputError) as caught:
        fetch(site, path)
    assert "HTTP 302" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirection_from_https_to_http_is_refused(code):
    handler = getattr(transfer.SafeRedirects(), f"http_error_{code}")
    request = urllib.request.Request("https://a.org/kg.csv")
    with pytest.raises(InputError, match=r"leads to http://b\.org/kg\.csv, which is not encrypted"):
        handler(request, io.BytesIO(), code, "Found", {"Location": "http://b.org/kg.csv?token=5"})


@pytest.mark.skipif(not shutil.which("openssl"), reason="a certificate needs openssl")
def test_a_server_with_https_cannot_send_a_download_to_http(site, path, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
    ]
    command += ["subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    handler = type("SiteHandler", (Handler,), {"site": site})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        encrypted = f"https://127.0.0.1:{server.server_port}/kg.csv"
        download.fetch(encrypted, path, pauses=())
        site.faults = [("redirect", site.url)]
        with pytest.raises(InputError, match="is not encrypted, so anyone on the way could change the file"):
            download.fetch(encrypted, path, pauses=())
        server.shutdown()
    assert path.read_bytes() == ROWS


# ---- archives ----


def tar(*names):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(ROWS)
            archive.addfile(member, io.BytesIO(ROWS))
    return buffer.getvalue()


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, ROWS)
    return buffer.getvalue()


TAR, ZIP = tar("./kg.tsv", "b.tsv"), zipped("kg.tsv", "b.tsv")
SIF = gzip.compress(b"source\tmetaedge\ttarget\n" + b"Gene::9021\tGpBP\tBiological Process::GO:1\n" * 99)


@pytest.mark.parametrize(
    ("name", "content"), [("a.tar.gz", TAR), ("a.tgz", TAR), ("a.zip", ZIP), ("a.sif.gz", SIF)]
)
def test_a_complete_archive_is_kept(site, path, name, content):
    site.content = content
    download.fetch(f"{site.url}#name={name}", path.with_name(name), pauses=())
    assert path.with_name(name).read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.tar.gz", PAGE, "named as gzip but holds a web page"),
        ("a.zip", PAGE, "named as zip but holds a web page"),
        ("a.sif.gz", PAGE, "named as gzip but holds a web page"),
        ("a.tar.gz", ZIP, "named as gzip but holds an Excel workbook or a zip archive"),
        ("a.zip", TAR, "named as zip but holds gzip"),
        ("a.tar.gz", TAR[:-5], "cut short or damaged"),
        ("a.tar.gz", TAR[: len(TAR) // 2], "cut short or damaged"),
        ("a.zip", ZIP[:-5], "cut short or damaged"),
        ("a.zip", ZIP[:5000] + b"x" + ZIP[5001:], "cut short or damaged"),
        ("a.sif.gz", SIF[:-5], "cut short or damaged"),
        ("a.tar.gz", gzip.compress(ROWS), "cut short or damaged"),
        ("a.tar.gz", tar(), "an archive with no file in it"),
        ("a.tar.gz", b"", "is empty"),
    ],
    ids=range(13),  # a gzip file holds the time, so its bytes would give each worker other names
)
def test_an_incomplete_archive_is_not_kept(site, path, name, content, sentence):
    site.content = content
    site.faults = [("lengthless", 0)]
    with pytest.raises(InputError, match=f"gave a file that was not kept, because it .*{sentence}"):
        download.fetch(f"{site.url}#name={name}", path.with_name(name), pauses=())
    assert names(path) == []


# ---- progress, and other processes ----


def test_a_transfer_says_how_far_it_is_but_not_too_often(site, path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(transfer, "PROGRESS_SECONDS", 0.0)
    fetch(site, path)
    line = rf"kg\.csv: \d+\.\d of {len(ROWS) / 1e6:.1f} MB \(\d+%\), \d+\.\d MB/s, \d+ s left"
    assert len(re.findall(line, caplog.text)) >= 2
    assert f"kg.csv: {len(ROWS):,} bytes, SHA-256 {hashlib.sha256(ROWS).hexdigest()}" in caplog.text
    caplog.clear()
    site.faults = [("lengthless", 0)]
    fetch(site, path)
    assert re.search(r"kg\.csv: \d+\.\d MB, \d+\.\d MB/s$", caplog.text, re.MULTILINE)
    caplog.clear()
    monkeypatch.setattr(transfer, "PROGRESS_SECONDS", 5.0)
    fetch(site, path)
    assert "MB/s" not in caplog.text


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name
)
def test_a_stopped_download_is_continued(site, path, number):
    site.faults = [("stall", 2 * MEGABYTE)]
    command = [sys.executable, "-c", FETCH, str(SCRIPTS), site.url, str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        part = path.with_name(".kg.csv.part")
        while process.poll() is None and not (part.exists() and part.stat().st_size == 2 * MEGABYTE):
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(30) != 0
    assert names(path) == [".kg.csv.part", ".kg.csv.part.json"]
    assert fetch(site, path) == ROWS
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-"]


def test_two_processes_do_not_write_into_one_file(site, path, monkeypatch):
    monkeypatch.setattr(transfer, "LOCK_SECONDS", 0.2)
    path.parent.mkdir()
    with path.with_name(".kg.csv.part").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(
            InputError, match=r"another process is downloading kg\.csv to .*: wait until it ends"
        ):
            fetch(site, path)
    assert site.requests == []
    assert fetch(site, path) == ROWS


def test_the_next_run_of_the_workflow_continues_a_download(site, tmp_path):
    folder = project_runs.make(tmp_path)
    site.faults = [("cut", 2 * MEGABYTE), ("status", 403)]
    stopped = folder.run("results/graph/nodes.parquet", config={"edges": site.url})
    assert stopped.code != 0 and "2.1 MB are kept, and the next run continues after them" in stopped.output
    continued = folder.run("results/graph/nodes.parquet", config={"edges": site.url})
    # The table has no column of node types, so the graph cannot be built; the download is complete.
    assert "has no column" in continued.output
    assert site.ranges == ["", f"bytes={2 * MEGABYTE}-", f"bytes={2 * MEGABYTE}-"]
    (kept,) = (folder.directory / "data" / "downloads").glob("*/kg.csv")
    assert kept.read_bytes() == ROWS
