"""A visit to a page in a browser, for the browser tests."""


class Visit:
    """A page in a context of its own, with what went wrong in it and what it asked the network for."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        self.page = self.context.new_page()
        self.errors, self.requests, self.address = [], [], address
        self.page.on(
            "console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, fragment=""):
        self.page.goto(self.address + fragment)
        self.page.wait_for_selector("html[data-ready]")
        return self.page

    def foreign_requests(self):
        """Requests for anything but the page itself and data in it."""
        return [url for url in self.requests if not url.startswith((self.address, "data:", "blob:"))]
