// The ranked partners of one disease or one drug: table, sorting, filters, copy, download.

const SCALE = 4000; // of explorer.py: a probability is stored as -ln(p) in steps of 1 / SCALE
const NO_PERCENT = 255;
const MOST_VALUES = 40; // of an annotation, in a choice
const MOST_COLUMNS = 4; // of annotations, in a list; the dossier and the csv have all
const FLAG_TEXTS = ["contraindicated", "other relation"];

// The rows of one node's list. data: what explorer.py packed; side: "tail" for a disease, "head" for a drug.
function rowsOf(data, side, index) {
  const lists = side === "tail" ? data.of_tails : data.of_heads;
  const partners = side === "tail" ? data.heads : data.tails;
  const rows = [];
  for (let i = lists.start[index]; i < lists.start[index + 1]; i++) {
    const partner = lists.partner[i];
    const head = side === "tail" ? partner : index;
    const tail = side === "tail" ? index : partner;
    rows.push({
      head, tail, partner,
      id: partners.ids[partner], name: nameOf(partners, partner),
      rank: lists.rank[i], otherRank: lists.other_rank[i],
      ...rangeOf(lists, i),
      listedBy: lists.listed_by ? lists.listed_by[i] : null,
      probability: Math.exp(-lists.probability[i] / SCALE),
      known: data.texts[lists.known[i]], caution: data.texts[lists.caution[i]],
      flags: FLAG_TEXTS.filter((_, bit) => lists.flags[i] & (1 << bit)),
      contraindication: lists.percent[i] === NO_PERCENT ? null : lists.percent[i] / 100,
      review: lists.review ? data.texts[lists.review[i]] : "", note: lists.review ? data.texts[lists.review_note[i]] : "",
      repeats: lists.repeats ? data.texts[lists.repeats[i]] : "",
      about: partners.about.map(({ texts, code }) => texts[code[partner]]),
      bins: data.reliability[data.tails.treatments[tail] ? "treated" : "untreated"],
    });
  }
  return rows;
}

function probabilityCell(row) {
  const bin = binOf(row.bins, row.probability);
  return [make("span", {}, observedInWords(row)), bin && make("small", {}, ` 95 %: ${intervalInWords(bin)}`)];
}

// How the graph knows a pair; a new one may repeat a known treatment.
function knownCell(row, data) {
  if (row.known) return [named(knownInWords(row.known, data))];
  return row.repeats ? [make("span", { class: "badge" }, "repeat"), make("small", {}, " ", named(row.repeats))] : [make("span", { class: "badge new" }, "new")];
}

// Of the bin that a pair is in: the share of treatments in the test, and its 95 % interval.
function testOf(row) {
  const bin = binOf(row.bins, row.probability);
  return bin ? [bin.observed, bin.low, bin.high].map((share) => share.toPrecision(3)) : ["", "", ""];
}

function rankText(row) {
  return whole(row.rank) + (row.high > row.low ? ` (${whole(row.low)} to ${whole(row.high)})` : "");
}

// The lowest and the highest place over the models; the place of their mean may be outside of both.
function rangeOf(lists, i) {
  return lists.low ? { low: Math.min(lists.low[i], lists.rank[i]), high: Math.max(lists.high[i], lists.rank[i]) } : { low: null, high: null };
}

class ListView {
  // place: the element to fill; onOpen: receives the partner's index of a row that is opened
  constructor(place, data, onOpen) {
    Object.assign(this, { place, data, onOpen, sortKey: "rank", ascending: true });
    // about: for lists of each side, column of an annotation -> the value that its rows must have.
    this.filters = { newOnly: false, hideCautions: false, unreviewed: false, hideRepeats: false, minimum: 0, about: { tail: {}, head: {} } };
  }

  show(side, index, opened) {
    const node = (side === "tail" ? this.data.tails : this.data.heads);
    Object.assign(this, { side, index, opened, node, rows: rowsOf(this.data, side, index) });
    const name = nameOf(node, index);
    const partnerType = side === "tail" ? this.data.heads.type : this.data.tails.type;
    this.partnerType = partnerType;
    const treatments = node.treatments[index];
    const heading = make("h3", { id: "list-title", tabindex: "-1" }, capitalised(`${partnerType}s for `), named(name), " ", make("small", {}, named(node.ids[index])));
    const said = treatments
      ? `${plural(treatments, "known treatment")} in the graph.`
      : side === "tail"
        ? `The graph holds no treatment of it, which may be a gap of the graph: this list rests on what treats similar ${this.data.tails.type}s and on paths.`
        : `Treats nothing known in the graph.`;
    this.body = make("tbody");
    this.count = make("p", { class: "soft", role: "status" });
    this.head = make("tr");
    this.place.replaceChildren(
      heading,
      make("p", { class: "soft" }, said, ` ${this.extent()}`),
      ...this.warnings(side, index),
      this.controls(),
      this.count,
      make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Ranked list" },
        make("table", { class: "list", "aria-labelledby": "list-title" }, make("thead", {}, this.head), this.body)));
    this.refresh();
    this.place.hidden = false;
  }

  extent() {
    const { top } = this.data;
    const device = this.side === "tail" ? this.data.device : this.data.first;
    const order = this.side === "tail" ? "" : ` Ordered by the score for lists of ${this.data.tails.type}s; each chance is that of the ${this.data.tails.type}'s own list, so the two can disagree.`;
    return `The ${top} best new ones by ${device}, with the known ones that rank among them; candidates/${device}/candidates.csv has more.${order}`;
  }

  warnings(side, index) {
    const simpler = side === "tail" ? this.data.beaten_by[this.node.treatments[index] ? "treated" : "untreated"] : "";
    const beaten = simpler ? [make("p", { class: "note" }, `In the test of such lists, a simpler method (${simpler}) did as well or better; `, make("a", { href: "#trusted" }, "can I trust it?"))] : [];
    return [...beaten, ...this.frequent(side, index)];
  }

  frequent(side, index) {
    const repeated = this.data.repeated;
    if (side !== "tail" || this.node.treatments[index] || !repeated) return [];
    if (!this.rows.some((row) => row.id === repeated.id && row.rank <= repeated.places)) return [];
    return [make("p", { class: "note" }, named(repeated.name),
      ` is in the lists of ${whole(100 * repeated.share)} in 100 ${this.data.tails.type}s without a known treatment, so its place here says little about this one.`)];
  }

  controls() {
    const check = (key, label) => make("label", {},
      make("input", { type: "checkbox", checked: this.filters[key], onchange: (event) => { this.filters[key] = event.target.checked; this.refresh(); } }), ` ${label}`);
    const options = [[0, "any"], [1e-4, "1 in 10,000"], [1e-3, "1 in 1,000"], [1e-2, "1 in 100"], [0.1, "10 in 100"]];
    const minimum = make("select", { onchange: (event) => { this.filters.minimum = Number(event.target.value); this.refresh(); } },
      ...options.map(([value, label]) => make("option", { value, selected: value === this.filters.minimum }, label)));
    const button = (label, act) => {
      const made = make("button", { type: "button", onclick: async () => {
        made.textContent = (await act()) || label;
        setTimeout(() => { made.textContent = label; }, 1500);
      } }, label);
      return made;
    };
    return make("div", { class: "controls" },
      check("newOnly", "new only"), ...(this.has("review") ? [check("unreviewed", "not reviewed")] : []),
      ...(this.has("repeats") ? [check("hideRepeats", "hide repeats")] : []), check("hideCautions", "hide cautions"),
      make("label", {}, "at least ", minimum),
      ...this.partners().about.map((column, number) => this.choiceOf(column, number)).filter(Boolean),
      button("Copy table", async () => (await copied(this.table("\t")) ? "Copied" : "Copying is not allowed here")),
      button("Download csv", () => { download(`${this.side === "tail" ? "disease" : "drug"}-${this.node.ids[this.index]}.csv`, this.table(",")); }),
      button("Copy link", async () => (await copied(location.href) ? "Copied" : "Copying is not allowed here")));
  }

  // Whether the lists have a column that only some runs have.
  has(column) {
    return Boolean((this.side === "tail" ? this.data.of_tails : this.data.of_heads)[column]);
  }

  partners() {
    return this.side === "tail" ? this.data.heads : this.data.tails;
  }

  // A choice among the values of an annotation; null for too many to choose from, or one that all have.
  choiceOf({ name, texts }, number) {
    const values = [...new Set(texts.flatMap((text) => valuesOf(text, this.data.separator)))].sort();
    if (!values.length || values.length > MOST_VALUES) return null;
    const chosen = this.filters.about[this.side];
    const select = make("select", { onchange: (event) => {
      if (event.target.selectedIndex) chosen[number] = event.target.value; else delete chosen[number];
      this.refresh();
    } }, make("option", { value: "" }, "any"), ...values.map((value) => make("option", { value, selected: chosen[number] === value }, visible(value))));
    return make("label", {}, named(name), " ", select);
  }

  visibleRows() {
    const { newOnly, hideCautions, hideRepeats, minimum, unreviewed } = this.filters;
    const wanted = Object.entries(this.filters.about[this.side]);
    const rows = this.rows.filter((row) =>
      wanted.every(([column, value]) => valuesOf(row.about[column], this.data.separator).includes(value)) &&
      !(newOnly && row.known) && !(unreviewed && row.review) && !(hideRepeats && row.repeats) && !(hideCautions && (row.caution || row.flags.length)) && row.probability >= minimum);
    const column = this.sortKey.startsWith("about") ? Number(this.sortKey.slice(5)) : -1;
    const isNumber = column >= 0 && rows.every((row) => !row.about[column] || Number.isFinite(Number(row.about[column])));
    const value = (row) => {
      if (column < 0) return this.sortKey === "name" ? row.name.toLowerCase() : row[this.sortKey];
      const text = row.about[column];
      // Rows without a text come last, whatever the order.
      if (!text) return this.ascending ? (isNumber ? Infinity : "\uffff") : (isNumber ? -Infinity : "");
      return isNumber ? Number(text) : text.toLowerCase();
    };
    rows.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.rank - b.rank) * (this.ascending ? 1 : -1));
    return rows;
  }

  refresh() {
    const other = this.side === "tail" ? this.data.tails.type : this.data.heads.type;
    const columns = [["rank", "Rank", "n"], ["name", this.partnerType, ""], ["probability", "Of test pairs like it, treatments were", ""],
      ["known", "Known as", ""], ["caution", "Cautions", ""],
      ...(this.has("review") ? [["review", "Review", ""]] : []), ...this.partners().about.slice(0, MOST_COLUMNS).map(({ name }, number) => [`about${number}`, visible(name), ""]), ["otherRank", `Place of this ${other} in its list`, "n"]];
    this.head.replaceChildren(...columns.map(([key, label, kind]) => make("th", {
      scope: "col", class: kind, "aria-sort": key === this.sortKey ? (this.ascending ? "ascending" : "descending") : "none",
    }, make("button", { type: "button", class: "sort", onclick: () => this.sort(key) }, capitalised(label)))));
    const rows = this.visibleRows();
    this.body.replaceChildren(...rows.map((row) => this.rowOf(row)));
    const hidden = this.rows.length - rows.length;
    this.count.textContent = rows.length ? `${plural(rows.length, "row")}${hidden ? `, ${whole(hidden)} hidden by the filters` : ""}. Choose a name to see why.` : "The filters hide every row.";
  }

  sort(key) {
    this.ascending = key === this.sortKey ? !this.ascending : key !== "probability";
    this.sortKey = key;
    this.refresh();
    [...this.head.querySelectorAll("button")].find((button) => button.parentElement.getAttribute("aria-sort") !== "none").focus();
  }

  rowOf(row) {
    const isOpen = row.partner === this.opened;
    return make("tr", { class: `pair${isOpen ? " open" : ""}`, onclick: (event) => { if (!event.target.closest("button, a")) this.onOpen(row.partner); } },
      make("td", { class: "n" }, rankText(row)),
      make("th", { scope: "row", class: "name" },
        make("button", { type: "button", class: "link", "aria-expanded": isOpen, onclick: () => this.onOpen(row.partner) }, named(row.name)),
        make("small", {}, " ", named(row.id))),
      make("td", {}, ...probabilityCell(row)),
      make("td", { class: "name" }, ...knownCell(row, this.data)),
      make("td", { class: "name caution-text" }, named([...row.flags, row.caution].filter(Boolean).join("; "))),
      ...(this.has("review") ? [make("td", { class: "name" }, named(row.review))] : []),
      ...row.about.slice(0, MOST_COLUMNS).map((text) => make("td", { class: "name" }, named(valuesOf(text, this.data.separator).join(", ")))),
      make("td", { class: "n" }, row.otherRank ? whole(row.otherRank) : DASH));
  }

  table(separator) {
    const { heads, tails } = this.data;
    const lines = [["head_id", "head_name", "tail_id", "tail_name", "rank", "rank_low", "rank_high", "probability", "test_share", "test_low", "test_high", "known", "cautions",
      ...(this.has("review") ? ["review", "review_note"] : []), ...(this.has("repeats") ? ["repeats"] : []), ...this.partners().about.map(({ name }) => `${this.side === "tail" ? "head" : "tail"}_${name}`)]];
    for (const row of this.visibleRows()) {
      lines.push([heads.ids[row.head], nameOf(heads, row.head), tails.ids[row.tail], nameOf(tails, row.tail), row.rank, row.low ?? "", row.high ?? "",
        row.probability.toPrecision(3), ...testOf(row), row.known, [...row.flags, row.caution].filter(Boolean).join("; "),
        ...(this.has("review") ? [row.review, row.note] : []), ...(this.has("repeats") ? [row.repeats] : []), ...row.about]);
    }
    return lines.map((line) => line.map((value) => cellOf(value, separator)).join(separator)).join("\r\n") + "\r\n";
  }
}

// The values in the text of an annotation.
function valuesOf(text, separator) {
  return (separator ? text.split(separator) : [text]).map((part) => part.trim()).filter(Boolean);
}

// A cell that no spreadsheet takes as a formula, and that keeps its place in the table.
function cellOf(value, separator) {
  let text = String(value);
  if (typeof value === "string" && /^[\s]*[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]/.test(text)) text = `'${text}`;
  if (separator === "\t") return text.replace(/[\t\r\n]+/g, " ");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A page from disk may not use the clipboard in every browser; a selection that the user copies always works.
    const area = make("textarea", { class: "aside", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    return isCopied;
  }
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  const link = make("a", { href: address, download: name.replace(/[^\p{L}\p{N}._-]+/gu, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
