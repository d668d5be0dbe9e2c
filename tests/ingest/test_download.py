"""A table may be a URL: it is downloaded once and completely, or the error says why not."""

import collections
import errno
import functools
import gzip
import hashlib
import http.server
import io
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import typing
import urllib.error
import zipfile
from pathlib import Path

import project_runs
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from repurpose.core.errors import InputError
from repurpose.ingest import download, tables, transfer

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Jobs in the background of a shell ignore Ctrl-C, and so do the programs that they start.
FETCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from repurpose.ingest import download
download.fetch(*sys.argv[2:])
"""
TABLE = gzip.compress(b"relation,x_id\nlikes,1\n" * 1000)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder. The first part of a path may ask for a faulty answer; `requests` counts requests."""

    requests: typing.ClassVar = collections.Counter()

    def do_GET(self):
        self.requests[self.path] += 1
        what, _, name = self.path[1:].partition("/")
        if what == "cut":  # promises more bytes than it sends
            return self.answer(200, b"x", {"Content-Length": "99"})
        if what == "status":
            return self.answer(int(name.partition("/")[0]), b"no")
        if what == "once":  # busy only at the first request
            return super().do_GET() if self.requests[self.path] > 1 else self.answer(503, b"busy")
        if what == "moved":
            return self.answer(302, b"", {"Location": "/login.html?next=kg"})
        if what == "slow":
            self.answer(200, b"relation,x_id\n" * 10_000, {"Content-Length": str(10**9)})
            time.sleep(60)
            return None
        if what == "lengthless":
            return self.answer(200, (Path(self.directory) / name).read_bytes())
        return super().do_GET()

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def translate_path(self, path):
        return super().translate_path(path.removeprefix("/once"))

    def log_message(self, *_):
        pass


@pytest.fixture(name="site", scope="module")
def served(tmp_path_factory):
    """The folder of a web server and its address."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "edges.csv.gz").write_bytes(TABLE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_table_is_downloaded_unchanged(site, tmp_path):
    path = tmp_path / "new" / "edges.csv.gz"
    assert download.fetch(f"{site[1]}/edges.csv.gz", path) == len(TABLE)
    assert path.read_bytes() == TABLE


def test_the_checksum_of_a_download_is_verified(site, tmp_path):
    path = tmp_path / "edges.csv.gz"
    path.write_bytes(b"earlier")
    right = hashlib.sha256(TABLE).hexdigest()
    with pytest.raises(InputError, match=f"has the SHA-256 {right}, not the one"):
        download.fetch(f"{site[1]}/edges.csv.gz#sha256={'0' * 64}", path)
    assert path.read_bytes() == b"earlier"
    download.fetch(f"{site[1]}/edges.csv.gz#sha256={right.upper()}", path)
    assert path.read_bytes() == TABLE


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("none.csv", r"\(HTTP 404, File not found\); the server has no such file: correct the address$"),
        ("cut/kg.csv", r"\(it broke off after 1 of 99 bytes\); .*try again later$"),
        (
            "status/401/kg.csv",
            r"\(HTTP 401, Unauthorized\); .*log-in: download the table by hand .*path in the config$",
        ),
        ("status/403/kg.csv", r"\(HTTP 403, Forbidden\); .*download the table by hand .*path in the config$"),
        ("status/500/kg.csv", r"\(HTTP 500, .*\); the server failed: try again later$"),
        ("status/503/kg.csv", r"\(HTTP 503, .*\); the server is busy: try again later$"),
        ("status/418/kg.csv", r"\(HTTP 418, .*\); check the address and the network$"),
    ],
)
def test_a_failed_download_says_why_and_what_to_do_and_leaves_nothing(site, tmp_path, page, sentence):
    with pytest.raises(InputError, match=rf"{page} cannot be downloaded {sentence}"):
        download.fetch(f"{site[1]}/{page}", tmp_path / "kg.csv", pauses=())
    assert list(tmp_path.iterdir()) == []


def test_only_errors_that_may_be_temporary_are_tried_again(site, tmp_path):
    (site[0] / "busy.csv").write_bytes(PLAIN)
    assert download.fetch(f"{site[1]}/once/busy.csv", tmp_path / "busy.csv", pauses=(0,)) == len(PLAIN)
    for page, times in (("status/503/a.csv", 3), ("status/404/a.csv", 1), ("cut/a.csv", 3)):
        with pytest.raises(InputError):
            download.fetch(f"{site[1]}/{page}", tmp_path / "a.csv", pauses=(0, 0))
        assert Handler.requests[f"/{page}"] == times


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (TimeoutError(), True),
        (urllib.error.URLError(ConnectionResetError()), True),
        (http.client.IncompleteRead(b""), True),
        (urllib.error.URLError(socket.gaierror(socket.EAI_AGAIN, "")), True),
        (urllib.error.URLError(socket.gaierror(socket.EAI_NONAME, "")), False),
        (urllib.error.URLError(ConnectionRefusedError()), False),
        (OSError(errno.ENOSPC, ""), False),
        (ValueError("unknown url type"), False),
    ],
    ids=repr,
)
def test_errors_that_may_be_temporary_are_distinguished_from_others(error, is_transient):
    assert transfer.is_transient(error) is is_transient


PLAIN = b"relation,x_id,x_name\n" + b"likes,1,'a'\n" * 50
ZIP = io.BytesIO()
with zipfile.ZipFile(ZIP, "w") as archive:
    archive.writestr("xl/workbook.xml", "<a/>")
PARQUET = io.BytesIO()
pq.write_table(pa.table({"relation": [str(i) for i in range(99)], "x_id": list(range(99))}), PARQUET)
ZSTD = pa.compress(PLAIN, codec="zstd", asbytes=True)
OBJECTS = b'{"id": "a", "category": ["b"]}\n' * 50
PAGE = b"\n<!doctype html><html><body>Please log in</body></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
# Files that are no table or are incomplete: name, bytes and the expected error.
NO_TABLES = [
    ("a.csv", PAGE, r"holds a web page .*by hand"),
    ("a.csv.gz", PAGE, r"named as gzip but holds a web page"),
    ("a.parquet", PAGE, r"named as parquet but holds a web page"),
    ("a.csv.gz", gzip.compress(PAGE, mtime=0), r"compressed, but what it holds is a web page"),
    ("a.tsv", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', r"holds a web page"),
    ("a.csv", b'{"error": "not found",\n"code": 4}', r"holds JSON: .*error message"),
    ("a.csv", b'[{"a": 1}]', r"holds JSON"),
    ("a.csv", POINTER, r"Git LFS pointer in place of the table: get the table with git lfs pull"),
    ("a.parquet", POINTER, r"Git LFS pointer"),
    ("a.csv", ZIP.getvalue(), r"Excel workbook or a zip archive: unpack it, or save the sheet as csv"),
    ("a.csv.gz", ZIP.getvalue(), r"Excel workbook or a zip archive"),
    ("a.csv", b"", r"is empty"),
    ("a.csv.gz", b"", r"is empty"),
    ("a.csv.gz", gzip.compress(b"", mtime=0), r"is empty"),
    ("a.parquet", b"", r"is empty"),
    ("a.csv", gzip.compress(PLAIN, mtime=0), r"named as text but holds gzip"),
    ("a.csv.gz", PLAIN, r"named as gzip but holds text"),
    ("a.csv.gz", gzip.compress(PLAIN, mtime=0)[:-4], r"cut short or damaged"),
    ("a.csv.gz", gzip.compress(PLAIN, mtime=0)[:-30], r"cut short or damaged"),
    ("a.csv.zst", ZSTD[:-4], r"cut short or damaged"),
    ("a.parquet", PARQUET.getvalue()[:-8], r"cut short or damaged"),
    ("a.parquet", PARQUET.getvalue()[:90], r"cut short or damaged"),
    ("a.csv", PLAIN[:-5], r"cut short or damaged \(line 51: the row has 2 fields where the header has 3\)"),
    ("a.csv", PLAIN + b'likes,1,"a', r"cut short or damaged \(line 52: a quotation mark is left open\)"),
    ("a.csv", b"Access denied.\nAsk your administrator.\n", r"is no table, its first line is 'Access denied"),
    ("a.csv", PLAIN.replace(b",", b"\t"), r"has 2 tabs and no commas in its first line: name it \.tsv"),
    ("a.csv", b"relation,x_id\n", r"a header but no rows"),
    ("a.jsonl", PAGE, r"named as JSON lines but holds a web page"),
    ("a.jsonl", PLAIN, r"named as JSON lines but holds text: give JSON lines, one object per line"),
    ("a.jsonl.gz", PAGE, r"named as gzip but holds a web page"),
    ("a.jsonl.gz", gzip.compress(PAGE, mtime=0), r"named as JSON lines but holds a web page"),
    ("a.jsonl.gz", gzip.compress(OBJECTS, mtime=0)[:-30], r"cut short or damaged"),
    ("a.ndjson", OBJECTS[:-5], r"cut short or damaged \(its last object has no end\)"),
]
# Unusual files that are complete tables.
TABLES = [
    ("a.csv", PLAIN),
    ("a.csv", PLAIN[:-1]),
    ("a.csv", b"\xef\xbb\xbf" + PLAIN.replace(b"\n", b"\r\n")),
    ("a.csv", PLAIN + b'likes,1,"of two\nlines"'),
    ("a.csv", b"<b>,[x],{y}\n1,2,3\n"),
    ("a.csv", "relation,x_id\nSjögren,1\n".encode("latin-1")),
    ("a.tsv", PLAIN.replace(b",", b"\t")),
    ("a.csv.gz", gzip.compress(PLAIN, mtime=0) + gzip.compress(PLAIN, mtime=0)),
    ("a.csv.zst", ZSTD),
    ("a.parquet", PARQUET.getvalue()),
    ("a.jsonl", OBJECTS),
    ("a.ndjson.zst", pa.compress(OBJECTS[:-1], codec="zstd", asbytes=True)),
    ("a.jsonl.gz", gzip.compress(OBJECTS, mtime=0)),
]


@pytest.mark.parametrize("route", ["", "lengthless/"])
@pytest.mark.parametrize(("name", "content", "sentence"), NO_TABLES)
def test_a_file_that_is_no_complete_table_is_named_and_not_kept(
    site, tmp_path, name, content, sentence, route
):
    (site[0] / name).write_bytes(content)
    path = tmp_path / name
    path.write_bytes(b"earlier")
    with pytest.raises(InputError) as caught:
        download.fetch(f"{site[1]}/{route}{name}", path)
    message = str(caught.value)
    assert message.startswith(f"{site[1]}/{route}{name} gave a file that was not kept, because it ")
    assert re.search(sentence, message)
    assert "\n" not in message and ": " in message
    assert str(tmp_path) not in message
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("name", "content"), TABLES)
def test_a_complete_table_of_any_format_and_with_any_columns_is_kept(site, tmp_path, name, content):
    (site[0] / name).write_bytes(content)
    assert download.fetch(f"{site[1]}/lengthless/{name}", tmp_path / name) == len(content)
    assert (tmp_path / name).read_bytes() == content
    tables.require_whole(tmp_path / name)


def test_the_error_names_a_redirection_to_a_log_in_page(site, tmp_path):
    (site[0] / "login.html").write_bytes(PAGE)
    with pytest.raises(InputError, match=rf"moved/kg\.csv led to {site[1]}/login\.html and gave .*web page"):
        download.fetch(f"{site[1]}/moved/kg.csv", tmp_path / "kg.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stopped_download_leaves_no_file_that_disturbs_the_next(site, tmp_path, number):
    path = tmp_path / "kg.csv"
    command = [sys.executable, "-c", FETCH, str(SCRIPTS), f"{site[1]}/slow/kg.csv", str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not list(tmp_path.iterdir()) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(number)
        try:
            assert process.wait(30) != 0
        finally:
            process.kill()
    assert not path.exists()
    if number == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
    download.fetch(f"{site[1]}/edges.csv.gz", tmp_path / "other.csv.gz")
    (site[0] / "kg.csv").write_bytes(PLAIN)
    download.fetch(f"{site[1]}/kg.csv", path)
    names = ["kg.csv", "kg.csv.sha256", "other.csv.gz", "other.csv.gz.sha256"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a small tmpfs needs Linux")
def test_a_full_disk_is_not_reported_as_a_network_error(site, tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a small tmpfs")
    try:
        (site[0] / "large.csv").write_bytes(PLAIN * 1000)
        with pytest.raises(
            InputError, match=r"large\.csv cannot be written \(No space left.*make room there"
        ):
            download.fetch(f"{site[1]}/large.csv", tmp_path / "large.csv")
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_an_invalid_address_is_refused():
    with pytest.raises(InputError, match="is not an address"):
        download.local_path("http://[a/kg.csv")


def test_the_error_names_an_address_that_does_not_answer(tmp_path):
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:1/a\.csv cannot be downloaded \(.*refused"):
        download.fetch("http://127.0.0.1:1/a.csv", tmp_path / "a.csv")


def test_each_url_has_its_own_path():
    urls = [
        "https://a.org/kg.csv",
        "https://b.org/kg.csv",
        "https://a.org/datafile/7#name=kg.csv",
        "https://a.org/kg.csv?version=2",
    ]
    paths = [download.local_path(url) for url in urls]
    assert len(set(paths)) == len(urls)
    assert all(re.fullmatch(r"data/downloads/[0-9a-f]{12}/kg\.csv", path) for path in paths)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.org/datafile/7",
        "https://a.org/page.html",
        "https://a.org/kg.csv/",
        "https://a.org/x#name=../../kg.csv",
        "https://a.org/..%2F..%2Fkg.csv#name=.csv",
        "https://a.org/a%20b.csv",
        "https://a.org/kg.parquet.gz",
        "https://a.org/kg.tar",
    ],
)
def test_a_url_that_names_no_table_is_refused(url):
    with pytest.raises(InputError, match="does not end like a table"):
        download.local_path(url)


@pytest.mark.parametrize(
    "name",
    ["kg.csv", "kg.tsv.zst", "kg.parquet", "edges.sif", "edges.sif.gz", "a-b_1.tar.gz", "a.tgz", "a.zip"],
)
def test_tables_and_archives_are_accepted_by_their_names(name):
    assert download.local_path(f"https://a.org/{name}").endswith(f"/{name}")


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ("sha256=1234", "a checksum that is not 64 hexadecimal digits; correct or remove #sha256="),
        ("sha256=", "a checksum that is not 64 hexadecimal digits"),
        (f"md5={'0' * 64}", "a checksum that is not 32 hexadecimal digits; correct or remove #md5="),
        ("size=12x", "a size that is not a number of bytes; correct or remove #size="),
        ("size=0", "a size that is not a number"),
        ("size=-5", "a size that is not a number"),
        ("sha265=00", "#sha265= after it, which means nothing here: correct it to one of #name=, #sha256=, "),
    ],
)
def test_what_a_url_states_must_be_possible(stated, sentence):
    with pytest.raises(InputError, match=f"kg.csv#{stated} has {sentence}"):
        download.local_path(f"https://a.org/kg.csv#{stated}")


@pytest.mark.parametrize(
    "url", ["ftp://a.org/kg.csv", "file:///tmp/kg.csv", "https:///kg.csv", "s3://a/kg.csv"]
)
def test_an_address_that_is_not_of_the_web_is_refused(url, tmp_path):
    assert download.is_url(url)
    with pytest.raises(InputError, match="is not an address of the web: give one that begins with https://"):
        download.local_path(url)
    with pytest.raises(InputError, match="is not an address of the web"):
        download.fetch(url, tmp_path / "kg.csv")
    assert not download.is_url("data/kg.csv") and not download.is_url("demo")


def test_the_workflow_downloads_a_nodes_table_like_an_edges_table(site, tmp_path):
    folder = project_runs.make(tmp_path)
    (site[0] / "edges.csv").write_text(
        "relation,x_id,x_type,y_id,y_type\n"
        + "".join(f"indication,d{i},drug,s{i},disease\ntargets,d{i},drug,g{i},gene\n" for i in range(9))
    )
    nodes = "node_type,node_id,node_name\ndrug,d1,Aspirin\ndrug,d99,Unused\n"
    (site[0] / "nodes.csv").write_text(PAGE.decode())
    config = {
        "edges": f"{site[1]}/edges.csv",
        "nodes": f"{site[1]}/nodes.csv",
        "graph": {"columns": {"head_name": "", "tail_name": ""}},
        "target": {"negative": []},
    }
    refused = folder.run("results/graph/nodes.parquet", config=config)
    assert refused.code != 0
    assert f"{site[1]}/nodes.csv gave a file that was not kept, because it is named as text" in refused.output
    (site[0] / "nodes.csv").write_text(nodes)
    done = folder.run("results/graph/nodes.parquet", config=config)
    assert done.code == 0, done.output
    assert done.made == ["build_graph", "download_table"]
    table = pq.read_table(folder.path("graph/nodes.parquet"), columns=["node_id", "node_name"]).to_pylist()
    names = {row["node_id"]: row["node_name"] for row in table}
    assert (names["d1"], names["d99"]) == ("Aspirin", "Unused")
    other = folder.run("results/graph/nodes.parquet", config=config | {"nodes": f"{site[1]}/no.csv"})
    assert "no.csv cannot be downloaded (HTTP 404, File not found)" in other.output
    odd = folder.run("results/graph/nodes.parquet", config=config | {"nodes": "ftp://a.org/nodes.csv"})
    assert "ftp://a.org/nodes.csv is not an address of the web" in odd.output


def test_the_workflow_downloads_once_and_builds_the_graph(site, tmp_path):
    folder = project_runs.make(tmp_path)
    planted = folder.run("results/demo/edges.parquet")
    assert planted.code == 0, planted.output
    folder.path("demo/edges.parquet").rename(site[0] / "kg.parquet")
    config = {"edges": f"{site[1]}/kg.parquet"}
    first = folder.run("results/graph/nodes.parquet", config=config)
    assert first.code == 0, first.output
    assert first.rules == ["build_graph", "download_table"]
    assert folder.run("results/graph/nodes.parquet", config=config).rules == []
    gone = folder.run("results/graph/nodes.parquet", config={"edges": f"{site[1]}/gone.csv"})
    assert gone.code != 0
    assert (
        "gone.csv cannot be downloaded (HTTP 404, File not found); "
        "the server has no such file: correct the address" in gone.output
    )
    (site[0] / "page.csv").write_bytes(PAGE)
    page = {"edges": f"{site[1]}/page.csv"}
    refused = folder.run("results/graph/nodes.parquet", config=page)
    assert (
        "page.csv gave a file that was not kept, because it is named as text but holds a web page"
        in refused.output
    )
    planted = pq.read_table(site[0] / "kg.parquet")
    pa.csv.write_csv(
        planted.cast(pa.schema([(n, pa.string()) for n in planted.column_names])), site[0] / "page.csv"
    )
    again = folder.run("results/graph/nodes.parquet", config=page)
    assert again.code == 0, again.output
    odd = folder.run("results/graph/nodes.parquet", config={"edges": f"{site[1]}/gone"})
    assert "gone does not end like a table" in odd.output
