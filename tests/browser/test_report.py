"""The report in a browser: search, lists, dossiers, links, map, access, hostile names."""

import csv
import importlib
import io
import re
import urllib.parse
from pathlib import Path

import browser_visits
import numpy as np
import page_examples
import pytest
from matplotlib import pyplot

from repurpose.report import explorer

SEARCH, LIST, DOSSIER = "#query", "#list table", "#dossier-title"


def search(page, text):
    page.fill(SEARCH, text)
    return [option.inner_text() for option in page.query_selector_all("#matches [role=option]")]


def choose(page, text):
    search(page, text)
    page.keyboard.press("Enter")
    page.wait_for_selector(LIST)


def column(page, number):
    return [cell.inner_text() for cell in page.query_selector_all(f"{LIST} tbody tr > :nth-child({number})")]


def visible_text(page):
    return page.evaluate("document.body.innerText")


def test_a_disease_is_found_by_name_id_and_near_miss_and_twins_are_told_apart(visit):
    page = visit()
    assert search(page, "parkinson")[0].startswith("Parkinson's disease disease:22")
    assert search(page, "DOID:9352")[0].startswith("disease number 23 DOID:9352")
    assert search(page, "parkisnon disease")[0].startswith("Parkinson's disease")
    twins = search(page, "twin of two")
    assert {re.search(r"disease:\d+", text)[0] for text in twins[:2]} == {"disease:20", "disease:21"}
    assert search(page, "drug number 3")[0].startswith("drug number 3")
    for text in ("parkinsons", "parkinsn", "Parkinsons disease", "parkinsno's"):
        assert search(page, text)[0].startswith("Parkinson's disease"), text
    assert search(page, "9352")[0].startswith("disease number 23 DOID:9352")
    assert search(page, "no such node at all") == []
    assert page.inner_text("#query-status") == (
        "Nothing has such a name or id. For a disease that the graph lacks, query_candidates.py takes "
        "genes or symptoms (docs/results.md)."
    )


def test_the_search_works_by_keyboard_alone(visit):
    page = visit()
    page.focus("body")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "query":
            break
    page.keyboard.type("disease number 3")
    assert page.get_attribute(SEARCH, "aria-expanded") == "true"
    first = page.get_attribute(SEARCH, "aria-activedescendant")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute(SEARCH, "aria-activedescendant") != first
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector(LIST)
    assert page.evaluate("document.activeElement.id") == "list-title"
    # On to the first name of the list, and into its dossier.
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('link')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(DOSSIER)
    assert page.evaluate("document.activeElement.id") == "dossier-title"


def test_escape_closes_the_matches(visit):
    page = visit()
    search(page, "disease")
    page.keyboard.press("Escape")
    assert page.is_hidden("#matches") and page.get_attribute(SEARCH, "aria-expanded") == "false"


def test_a_list_is_sorted_and_filtered(visit):
    page = visit()
    choose(page, "disease number 39")
    ranks = [int(text.split()[0]) for text in column(page, 1)]
    assert ranks == sorted(ranks) and len(ranks) > 5
    page.click("th button:has-text('Drug')")
    names = column(page, 2)
    assert names == sorted(names, key=str.lower)
    page.click("th button:has-text('Drug')")
    assert column(page, 2) == names[::-1]
    page.click("th button:has-text('Rank')")
    assert any(text == "indication" for text in column(page, 4))
    page.check("text=new only")
    assert set(column(page, 4)) == {"new"} and "hidden by the filters" in visible_text(page)
    page.select_option(".controls select", "0.1")
    assert page.inner_text("#list [role=status]") == "The filters hide every row." or column(page, 1)


def test_cautions_can_be_hidden_and_are_shown_in_words(visit):
    page = visit("#disease=disease%3A1")
    assert "unlike any treated disease" in column(page, 5)[0]
    page.check("text=hide cautions")
    assert column(page, 5) == []


def test_annotations_are_columns_that_filter_and_sort_and_the_dossier_has_them(visit):
    page = visit()
    choose(page, "disease number 30")
    status, route, price = 7, 8, 9
    assert {"approved", "withdrawn"} <= set(column(page, status)) and "oral, nasal" in column(page, route)
    rows = len(column(page, status))
    page.select_option("label:has-text('route') select", "nasal")
    assert set(column(page, route)) == {"oral, nasal"}
    page.select_option("label:has-text('status') select", "approved")
    kept = column(page, 2)
    assert set(column(page, status)) == {"approved"} and 0 < len(kept) < rows
    assert f"{rows - len(kept)} hidden by the filters" in visible_text(page)
    page.select_option("label:has-text('status') select", "")
    page.select_option("label:has-text('route') select", "")
    page.click(f"{LIST} thead button:has-text('Price')")
    prices = [float(text) for text in column(page, price) if text]
    assert prices == sorted(prices) and len(prices) > 3
    with page.expect_download() as waiting:
        page.click("button:has-text('Download csv')")
    lines = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8-sig"))))
    assert {"approved", "withdrawn"} <= {line["head_status"] for line in lines} and lines[0]["head_price"]
    page.click(f"{LIST} tbody tr:nth-child(2) .link")
    page.wait_for_selector(DOSSIER)
    assert re.search(r"About drug number .*: status (approved|withdrawn); route oral", visible_text(page))


def test_reviews_are_shown_and_reviewed_pairs_can_be_hidden(visit):
    page = visit()
    choose(page, "disease number 30")
    marks = column(page, 6)
    assert {"plausible", ""} == set(marks)
    page.check("text=not reviewed")
    assert set(column(page, 6)) == {""} and len(column(page, 6)) == marks.count("")
    page.uncheck("text=not reviewed")
    page.click(f"{LIST} tbody tr:nth-child({marks.index('plausible') + 1}) .link")
    page.wait_for_selector(DOSSIER)
    assert "Reviewed: plausible; (AB)." in visible_text(page)
    assert "the graph has no direction of effect" in visible_text(page)


def test_repeats_of_treatments_are_marked_and_can_be_hidden(visit):
    page = visit()
    choose(page, "disease number 37")
    marks = column(page, 4)
    assert {mark.split()[0] for mark in marks} >= {"repeat", "new"}
    page.check("text=hide repeats")
    assert len(column(page, 4)) == sum(not mark.startswith("repeat") for mark in marks)
    page.uncheck("text=hide repeats")
    with page.expect_download() as waiting:
        page.click("button:has-text('Download csv')")
    lines = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8-sig"))))
    assert sum(bool(line["repeats"]) for line in lines) == sum(mark.startswith("repeat") for mark in marks)
    place = next(place for place, mark in enumerate(marks) if mark.startswith("repeat"))
    page.click(f"{LIST} tbody tr:nth-child({place + 1}) .link")
    page.wait_for_selector(DOSSIER)
    assert "Known in other words: " in visible_text(page)


def test_probabilities_are_told_in_words_with_the_interval_of_their_bin(visit):
    page = visit("#disease=disease%3A39")
    assert "about 40 in 100 95 %: 30 to 50 in 100" in " ".join(column(page, 3)[0].split())
    assert not re.search(r"0\.\d{3}", page.inner_text("#list"))


def test_a_link_opens_list_and_dossier_and_back_returns(visit):
    page = visit()
    choose(page, "disease number 30")
    page.click("tr.pair button.link")
    page.wait_for_selector(DOSSIER)
    title, address = page.inner_text(DOSSIER), page.url
    assert re.search(r"#disease=disease%3A30&drug=drug%3A\d+$", address)
    page.go_back()
    page.wait_for_selector("#dossier", state="hidden")
    assert page.is_visible(LIST)
    page.go_back()
    page.wait_for_selector("#list", state="hidden")
    page.go_forward()
    page.go_forward()
    page.wait_for_selector(DOSSIER)
    assert page.inner_text(DOSSIER) == title
    other = visit(address.partition(".html")[2])
    other.wait_for_selector(DOSSIER)
    assert other.inner_text(DOSSIER) == title
    assert "disease number 30" in other.input_value(SEARCH)


def test_a_link_to_what_the_page_does_not_hold_says_so(visit):
    assert "No ranked node has the id nothing" in visible_text(visit("#disease=nothing"))
    page = visit("#disease=disease%3A30&drug=nothing")
    page.wait_for_selector(DOSSIER)
    assert "is not among the pairs of this list" in page.inner_text("#dossier")


def test_a_dossier_draws_its_paths_and_names_known_treatments(visit):
    page = visit()
    choose(page, "disease number 30")
    page.check("text=new only")
    page.click("tr.pair button.link")
    page.wait_for_selector("#dossier svg.paths")
    drawn = page.query_selector("#dossier svg.paths")
    texts = [text.text_content() for text in page.query_selector_all("#dossier svg.paths .node > text")]
    assert "disease number 30" in texts and len(texts) > 2
    assert "-[" in drawn.get_attribute("aria-label")
    assert page.query_selector_all("#dossier svg.paths line.lead")
    page.click("button.close")
    page.wait_for_selector("#dossier", state="hidden")


def test_long_names_of_drawn_nodes_take_two_lines(visit):
    page = visit()
    source = (Path(explorer.__file__).parent / "app" / "dossier.js").read_text()
    names = ["gout", "Alzheimer's disease", "amyotrophic lateral sclerosis type 1", "n" * 30, "n" * 30 + " m"]
    assert page.evaluate(
        f"(names) => {{ {source}; return names.map((name) => broken(name, 18)); }}", names
    ) == [
        ["gout", ""],
        ["Alzheimer's", "disease"],
        ["amyotrophic", "lateral sclerosis type 1"],
        ["n" * 30, ""],
        ["n" * 30, "m"],
    ]


def downloaded(started):
    text = started.value.path().read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_dossier_links_to_records_and_searches_and_loads_nothing(visit):
    page = visit()
    for text in ("DOID:9352", "disease:1"):  # the second one has a hostile name
        choose(page, text)
        name = page.inner_text(f"{LIST} tbody tr:nth-child(1) .link")
        page.click(f"{LIST} tbody tr:nth-child(1) .link")
        page.wait_for_selector("#dossier .look-up a")
        links = page.query_selector_all("#dossier .look-up a")
        for link in links:
            assert link.get_attribute("rel") == "noopener noreferrer"
            assert link.get_attribute("target") == "_blank"
            address = link.get_attribute("href")
            assert re.fullmatch(r"https://(pubmed|clinicaltrials|bioregistry)[a-z.]+/[^<>\"'\s]*", address)
        if text == "DOID:9352":
            addresses = {link.inner_text(): link.get_attribute("href") for link in links}
            assert addresses[text] == "https://bioregistry.io/DOID:9352"
            pair = urllib.parse.parse_qs(urllib.parse.urlsplit(addresses["ClinicalTrials.gov"]).query)
            assert pair == {"cond": ["disease number 23"], "intr": [name]}
            term = urllib.parse.parse_qs(urllib.parse.urlsplit(addresses["PubMed"]).query)["term"]
            assert term == [f'"{name}" AND "disease number 23"']


def test_a_dossier_says_where_edges_come_from_and_links_to_publications(visit):
    page = visit()
    choose(page, "disease number 30")
    page.check("text=new only")
    page.click("tr.pair button.link")
    page.wait_for_selector("#dossier .origins li")
    lines = [line.inner_text() for line in page.query_selector_all("#dossier .origins li")]
    assert all(page_examples.HOSTILE[0] in line and page_examples.HOSTILE[2] in line for line in lines)
    links = page.query_selector_all("#dossier .origins a")
    assert len(links) == len(lines)  # a text that is no id of a publication is no link
    for link in links:
        number = link.inner_text().removeprefix("PMID:")
        assert link.get_attribute("href") == f"https://bioregistry.io/PMID:{number}" and number.isdigit()
        assert link.get_attribute("rel") == "noopener noreferrer"


def test_the_address_of_a_publication_is_known_from_its_id(visit):
    page = visit()
    source = (Path(explorer.__file__).parent / "app" / "links.js").read_text()
    ids = ["123", "PMID:123", "10.1000/a<b>", "https://a.org/1", "javascript:alert(1)", "a book"]
    assert page.evaluate(f"(ids) => {{ {source}; return ids.map(publicationOf); }}", ids) == [
        "https://pubmed.ncbi.nlm.nih.gov/123",
        "https://bioregistry.io/PMID:123",
        "https://doi.org/10.1000/a%3Cb%3E",
        "https://a.org/1",
        "https://bioregistry.io/javascript:alert(1)",
        None,
    ]


def test_a_list_is_downloaded_as_shown(visit):
    page = visit("#disease=disease%3A6")
    with page.expect_download() as started:
        page.click("text=Download csv")
    rows = downloaded(started)
    assert [row["rank"] for row in rows] == [rank.split()[0] for rank in column(page, 1)]
    # A spreadsheet would run a cell that begins with an equals sign.
    assert {row["tail_name"] for row in rows} == {"'=HYPERLINK(1) disease"}
    assert started.value.suggested_filename == "disease-disease_6.csv"
    page.check("text=new only")
    with page.expect_download() as filtered:
        page.click("text=Download csv")
    shown = downloaded(filtered)
    assert 0 < len(shown) < len(rows) and {row["known"] for row in shown} == {""}


def test_a_list_is_copied(visit):
    page = visit("#disease=disease%3A30", permissions=["clipboard-read", "clipboard-write"])
    page.click("text=Copy table")
    page.wait_for_selector("text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("head_id\thead_name") and len(copied.splitlines()) == len(column(page, 1)) + 1


def coloured_pixels(page):
    """How many pixels of the map differ from its most common colour, the background."""
    picture = pyplot.imread(io.BytesIO(page.locator("#map-canvas").screenshot()))
    colours, counts = np.unique(picture.reshape(-1, picture.shape[-1]), axis=0, return_counts=True)
    return int(counts.sum() - counts.max()) if len(colours) > 1 else 0


def test_the_map_is_drawn_searched_and_hovered(visit):
    page = visit()
    page.click("#map-draw")
    page.wait_for_selector("#map-canvas[data-painted]")
    assert coloured_pixels(page) > 500
    assert "gene (80)" in page.inner_text("#map-types")
    page.fill("#map-query", "Parkinson's disease")
    page.keyboard.press("Enter")
    page.wait_for_selector("#map-found:has-text('nearest')")
    assert "Parkinson's disease: nearest diseases by their vectors: " in page.inner_text("#map-found")
    page.wait_for_timeout(600)
    page.locator("#map-canvas").scroll_into_view_if_needed()
    box = page.locator("#map-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.wait_for_selector("#map-tip:has-text('Parkinson')")
    page.click("#map-reset")
    page.wait_for_timeout(600)
    shown = coloured_pixels(page)
    page.uncheck("#map-types input >> nth=2")
    page.wait_for_timeout(100)
    assert coloured_pixels(page) < shown
    page.click("#map-in")
    # The other device has a map of its own.
    page.check("input[name=map-device] >> nth=1")
    page.wait_for_timeout(300)
    assert coloured_pixels(page) > 500


def test_devices_are_switched(visit):
    page = visit()
    blocks = page.locator("#learned .device-block")
    assert blocks.count() == 3
    assert [blocks.nth(at).is_visible() for at in range(3)] == [True, False, False]
    page.check("#learned input[value=mps]")
    assert [blocks.nth(at).is_visible() for at in range(3)] == [False, False, True]
    assert "Why it failed" in page.inner_text("#learned")


def test_splits_are_switched_and_all_are_printed(visit):
    page = visit()
    charts = page.locator("#trusted .device-block >> nth=0 >> figure[data-switch=split]")
    # The split that hides whole diseases comes first.
    assert [charts.nth(at).is_visible() for at in range(charts.count())] == [False, True]
    assert "Split: random" not in page.inner_text("#trusted")
    assert "Split: disease" in page.inner_text("#trusted")
    page.check("#trusted input[name=switch-split][value=random]")
    assert [charts.nth(at).is_visible() for at in range(charts.count())] == [True, False]
    page.check("#trusted input[name=switch-split][value=disease]")
    page.emulate_media(media="print")
    assert "Split: random" in page.inner_text("#trusted")


def test_the_best_pairs_lead_to_their_dossiers(visit):
    page = visit()
    name = page.inner_text("#candidates th.name a >> nth=0")
    page.click("#candidates th.name a >> nth=0")
    page.wait_for_selector(DOSSIER)
    assert page.inner_text(DOSSIER).startswith(f"Why {name.split(' drug:')[0]}")


def test_hostile_names_are_text_and_marks_that_cannot_be_seen_are_shown(visit):
    page = visit()
    for number in range(len(page_examples.HOSTILE)):
        page.evaluate(f"location.hash = 'disease=disease%3A{number}'")
        page.wait_for_function(
            f"document.getElementById('list-title')?.innerText.includes('disease:{number}')"
        )
        page.click("tr.pair button.link")
        page.wait_for_selector("#dossier:not([hidden]) #dossier-title")
    page.evaluate("location.hash = 'disease=disease%3A4'")
    page.wait_for_selector("#list-title:has-text('disease:4')")
    assert "right\u27e8U+202E\u27e9to left disease" in page.inner_text("#list-title")
    assert "\u202e" not in visible_text(page) and "\u2028" not in visible_text(page)
    assert page.query_selector("img") is None
    # Three packs of lists, nodes and dossiers, three maps, the library and the page's own script.
    assert len(page.query_selector_all("script")) == 3 + 3 + 2


def test_nothing_is_wider_than_a_phone(visit):
    page = visit("#disease=disease%3A5", viewport={"width": 375, "height": 700})
    page.wait_for_selector(LIST)
    page.click("tr.pair button.link")
    page.wait_for_selector("#dossier:not([hidden]) #dossier-title")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert (
        visit(viewport={"width": 375, "height": 700}).evaluate("document.documentElement.scrollWidth") <= 375
    )


def test_text_of_twice_the_size_fits(visit):
    page = visit("#disease=disease%3A5")
    page.add_style_tag(content="") if False else page.evaluate(
        "document.documentElement.style.fontSize = '200%'"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, scheme):
    axe = importlib.import_module("axe_core_python")
    page = visit("#disease=disease%3A30", color_scheme=scheme)
    page.click("tr.pair button.link")
    page.wait_for_selector(DOSSIER)
    page.click("#map-draw")
    page.wait_for_selector("#map-canvas[data-painted]")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    serious = [
        (rule["id"], [node["html"][:120] for node in rule["nodes"][:3]])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert len(found["passes"]) > 20


def test_the_page_prints(visit, tmp_path):
    page = visit("#disease=disease%3A30")
    printed = page.pdf(path=tmp_path / "page.pdf")
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    page.emulate_media(media="print")
    assert page.is_hidden(SEARCH) and page.is_visible(LIST)


def test_without_scripts_the_tables_are_readable(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.is_hidden("#explorer") and page.is_hidden("#map")
    assert page.is_visible("text=The best of all diseases") and page.is_visible("text=Leakage certificate")
    assert page.locator("#learned .device-block").nth(2).is_visible()
    context.close()


def test_the_page_works_from_a_server_too(browser, server):
    visit = browser_visits.Visit(browser, server)
    page = visit.open("#disease=disease%3A30")
    page.wait_for_selector(LIST)
    assert visit.errors == [] and visit.foreign_requests() == []
