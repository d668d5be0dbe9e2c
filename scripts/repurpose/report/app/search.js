// Finds diseases and drugs by name or id while a person types.

const SHOWN_MATCHES = 12;
const CANDIDATES_OF_NEAR = 400; // names whose letters are compared one by one, for near misses

function folded(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}

class Index {
  // sides: [{key, type, ids, names, treatments}]
  constructor(sides) {
    this.entries = sides.flatMap((side) =>
      side.ids.map((id, index) => ({ side, index, id, name: nameOf(side, index) })));
    for (const entry of this.entries) {
      entry.text = folded(entry.name);
      entry.code = entry.id.toLowerCase();
      entry.bare = entry.code.replace(/^.*:/, ""); // DB00331 for DRUGBANK:DB00331
      entry.close = entry.text.replaceAll(" ", ""); // "parkinsons" for Parkinson's
    }
    const count = new Map();
    for (const { text } of this.entries) count.set(text, (count.get(text) || 0) + 1);
    for (const entry of this.entries) entry.isShared = count.get(entry.text) > 1;
  }

  // The best entries for a query, nearest first; among equals those with more known treatments.
  find(query, limit = SHOWN_MATCHES) {
    const text = folded(query);
    const code = query.trim().toLowerCase();
    if (!text && !code) return [];
    const scored = [];
    for (const entry of this.entries) {
      const score = this.score(entry, text, code);
      if (score > 0) scored.push([score, entry]);
    }
    if (scored.length < limit && text.length > 3) scored.push(...this.near(text, new Set(scored.map((pair) => pair[1]))));
    const treated = (entry) => (entry.side.treatments ? entry.side.treatments[entry.index] : 0);
    scored.sort(([a, x], [b, y]) => b - a || treated(y) - treated(x) || x.text.length - y.text.length || (x.text < y.text ? -1 : 1));
    return scored.slice(0, limit).map((pair) => pair[1]);
  }

  score(entry, text, code) {
    if (entry.code === code || entry.text === text) return 6;
    if (!text) return entry.code.startsWith(code) || entry.bare === code ? 4 : 0;
    if (entry.text.startsWith(text)) return 5;
    if (entry.code.startsWith(code) || entry.bare === code) return 4;
    if (entry.close.startsWith(text.replaceAll(" ", ""))) return 3;
    const at = entry.text.indexOf(text);
    if (at > 0 && entry.text[at - 1] === " ") return 3;
    if (text.includes(" ") && text.split(" ").every((word) => entry.text.includes(word))) return 2;
    return at >= 0 ? 2 : 0;
  }

  near(text, found) {
    const wanted = pairsOfLetters(text);
    const likely = [];
    for (const entry of this.entries) {
      if (found.has(entry)) continue;
      const share = Math.max(overlap(wanted, entry.text), overlap(wanted, entry.text.slice(0, text.length + 1)));
      if (share > 0.3) likely.push([share, entry]);
    }
    likely.sort((a, b) => b[0] - a[0]);
    const allowed = text.length < 7 ? 1 : 2 + Math.floor(text.length / 14);
    // A person may have typed the beginning only: the name's first letters, as many as were typed, count too.
    const nearest = (name) => Math.min(...[name, name.slice(0, text.length), name.slice(0, text.length + 1)].map((part) => edits(text, part, allowed)));
    return likely.slice(0, CANDIDATES_OF_NEAR)
      .map(([, entry]) => [Math.min(nearest(entry.text), nearest(entry.close)), entry])
      .filter(([distance]) => distance <= allowed)
      .map(([distance, entry]) => [1 - distance / 10, entry]);
  }
}

function pairsOfLetters(text) {
  const pairs = new Set();
  for (let i = 0; i + 1 < text.length; i++) pairs.add(text.slice(i, i + 2));
  return pairs;
}

function overlap(wanted, text) {
  let common = 0;
  for (let i = 0; i + 1 < text.length; i++) if (wanted.has(text.slice(i, i + 2))) common++;
  return (2 * common) / (wanted.size + Math.max(1, text.length - 1));
}

// Edits (insert, delete, replace, swap neighbours) between two texts, or limit + 1 if there are more.
function edits(a, b, limit) {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2] + 1);
      next.push(best);
    }
    if (Math.min(...next) > limit) return limit + 1;
    before = row;
    row = next;
  }
  return row[b.length];
}

// An input with a list of matches below it, after the ARIA pattern "combobox with list autocomplete".
class Combobox {
  // find: query -> entries; choose: receives the chosen entry; otherwise: said after "nothing found"
  constructor(input, list, status, find, choose, otherwise = "") {
    Object.assign(this, { input, list, status, find, choose, otherwise, entries: [], at: -1 });
    input.addEventListener("input", () => this.update());
    input.addEventListener("focus", () => input.value && this.update());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => setTimeout(() => this.close(), 150));
  }

  update() {
    this.entries = this.find(this.input.value);
    this.at = this.entries.length ? 0 : -1;
    this.list.replaceChildren(...this.entries.map((entry, number) => this.option(entry, number)));
    this.toggle(this.entries.length > 0);
    const asked = this.input.value.trim();
    this.status.textContent = !asked ? "" : this.entries.length ? plural(this.entries.length, "match", "matches") : `Nothing has such a name or id.${this.otherwise}`;
    this.mark();
  }

  option(entry, number) {
    const treatments = entry.side.treatments ? entry.side.treatments[entry.index] : null;
    return make("li", {
      id: `${this.list.id}-${number}`, role: "option",
      onmousedown: (event) => { event.preventDefault(); this.take(number); },
    },
    named(entry.name),
    make("small", {}, " ", named(entry.id), ` ${DASH} ${entry.side.type}`,
      treatments === null ? "" : treatments ? `, ${plural(treatments, "known treatment")}` : ", no treatment in the graph"));
  }

  key(event) {
    const isOpen = !this.list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!isOpen) this.update();
      else this.at = (this.at + (event.key === "ArrowDown" ? 1 : -1) + this.entries.length) % this.entries.length;
      this.mark();
      event.preventDefault();
    } else if (event.key === "Enter") {
      if (!isOpen) this.update();
      if (this.at >= 0) this.take(this.at);
      event.preventDefault();
    } else if (event.key === "Escape") this.close();
  }

  mark() {
    [...this.list.children].forEach((option, number) => option.setAttribute("aria-selected", number === this.at));
    if (this.at >= 0) {
      this.input.setAttribute("aria-activedescendant", `${this.list.id}-${this.at}`);
      this.list.children[this.at].scrollIntoView({ block: "nearest" });
    } else this.input.removeAttribute("aria-activedescendant");
  }

  take(number) {
    const entry = this.entries[number];
    this.input.value = entry.name;
    this.close();
    this.choose(entry);
  }

  toggle(isOpen) {
    this.list.hidden = !isOpen;
    this.input.setAttribute("aria-expanded", isOpen);
  }

  close() {
    this.toggle(false);
    this.input.removeAttribute("aria-activedescendant");
  }
}
