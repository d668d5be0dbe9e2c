"""Pages in a real Chromium: playwright is in envs/browser.txt, Chromium is Debian's; .ci/run has both."""

import functools
import http.server
import importlib
import os
import re
import shutil
import threading
from pathlib import Path

import page_examples
import pytest
from browser_visits import Visit

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = Path(__file__).parents[2] / "results" / "browser"
OPTIONS = ["--no-sandbox"]


@pytest.fixture(scope="session", name="browser")
def chromium():
    # Where continuous integration runs, .ci/run has installed both, so a lack of them is an error.
    lacking = pytest.fail if os.environ.get("CI") else pytest.skip
    try:
        playwright = importlib.import_module("playwright.sync_api")
    except ImportError:
        lacking("the browser tests need: pip install -c envs/requirements.txt -r envs/browser.txt")
    if not CHROMIUM:
        lacking("the browser tests need Chromium (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session", name="report")
def report_of_two_devices(tmp_path_factory):
    """The page of a run of two devices, one of which failed; nodes have names that try to break it."""
    folder, devices = tmp_path_factory.mktemp("report"), ("cpu", "cpu-sampled", "mps")
    return page_examples.write(folder, devices, ("mps",), annotated=True)


@pytest.fixture(name="visit")
def visits(browser, report, request):
    """Opens the page from disk; at the end there were no errors and no requests. Keeps a picture of each."""
    opened = []

    def open_page(fragment="", **options):
        opened.append(Visit(browser, report.as_uri(), **options))
        return opened[-1].open(fragment)

    yield open_page
    for number, visit in enumerate(opened):
        name = re.sub(r"\W+", "-", f"{request.node.name}-{number}")
        visit.page.screenshot(path=PICTURES / f"{name}.png")
        assert visit.errors == []
        assert visit.foreign_requests() == []
        assert visit.page.evaluate("window.broken") is None
        visit.context.close()


@pytest.fixture(scope="session", name="server")
def local_server(report):
    """The address of a server on this machine that serves the folder of the page."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(report.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{report.name}"
        server.shutdown()
