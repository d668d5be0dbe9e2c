"""A table may be a URL: it arrives once and whole, or the sentence says why not."""

import functools
import gzip
import hashlib
import http.server
import re
import threading

import pytest
import workflow

from repurpose import download
from repurpose.errors import InputError

TABLE = gzip.compress(b"relation,x_id\nlikes,1\n" * 1000)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; /cut... promises more bytes than it sends."""

    def do_GET(self):
        if not self.path.startswith("/cut"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "99")
        self.end_headers()
        self.wfile.write(b"x")

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


def test_a_table_arrives_as_it_is(site, tmp_path):
    path = tmp_path / "new" / "edges.csv.gz"
    assert download.fetch(f"{site[1]}/edges.csv.gz", path) == len(TABLE)
    assert path.read_bytes() == TABLE


def test_a_checksum_is_held_against_what_arrived(site, tmp_path):
    path = tmp_path / "edges.csv.gz"
    path.write_bytes(b"earlier")
    right = hashlib.sha256(TABLE).hexdigest()
    with pytest.raises(InputError, match=f"has the SHA-256 {right}, not the one"):
        download.fetch(f"{site[1]}/edges.csv.gz#sha256={'0' * 64}", path)
    assert path.read_bytes() == b"earlier"
    download.fetch(f"{site[1]}/edges.csv.gz#sha256={right.upper()}", path)
    assert path.read_bytes() == TABLE


@pytest.mark.parametrize(
    ("page", "reason"), [("none.csv", "File not found"), ("cut.csv", "broke off after 1 of 99 bytes")]
)
def test_a_failed_download_says_why_and_leaves_nothing(site, tmp_path, page, reason):
    with pytest.raises(InputError, match=rf"{page} cannot be downloaded \(.*{reason}"):
        download.fetch(f"{site[1]}/{page}", tmp_path / page)
    assert list(tmp_path.iterdir()) == []


def test_an_address_where_nobody_answers_is_named(tmp_path):
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:1/a\.csv cannot be downloaded \(.*refused"):
        download.fetch("http://127.0.0.1:1/a.csv", tmp_path / "a.csv")


def test_each_url_has_a_place_of_its_own():
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
    ],
)
def test_a_url_that_names_no_table_is_refused(url):
    with pytest.raises(InputError, match="does not end like a table"):
        download.local_path(url)


def test_a_checksum_that_is_none_is_refused():
    with pytest.raises(InputError, match="not 64 hexadecimal digits"):
        download.local_path("https://a.org/kg.csv#sha256=1234")


def test_the_workflow_downloads_once_and_builds_the_graph(site, tmp_path):
    folder = workflow.make(tmp_path)
    planted = folder.run("results/demo/edges.parquet")
    assert planted.code == 0, planted.output
    folder.path("demo/edges.parquet").rename(site[0] / "kg.parquet")
    config = {"edges": f"{site[1]}/kg.parquet"}
    first = folder.run("results/graph/nodes.parquet", config=config)
    assert first.code == 0, first.output
    assert first.rules == ["build_graph", "download_edges"]
    assert folder.run("results/graph/nodes.parquet", config=config).rules == []
    gone = folder.run("results/graph/nodes.parquet", config={"edges": f"{site[1]}/gone.csv"})
    assert gone.code != 0
    assert "gone.csv cannot be downloaded (File not found); check the address and the network" in gone.output
    odd = folder.run("results/graph/nodes.parquet", config={"edges": f"{site[1]}/gone"})
    assert "gone does not end like a table" in odd.output
