// Why one pair is ranked: its paths drawn as a small graph, reasons, similar known treatments.

const DRAWN = { total: 940, end: 150, inner: 140, height: 38, lane: 60 }; // sizes of the drawn paths, in pixels
const ALONG = 1;
const AGAINST = 2;

// Finds a pair's dossier among the flat arrays of explorer.Dossiers.
class Dossiers {
  constructor(data, texts, nodes) {
    Object.assign(this, { data, texts, nodes });
    this.numberOfPair = new Map();
    for (let i = 0; i < data.tail.length; i++) this.numberOfPair.set(data.tail[i] * 2 ** 26 + data.head[i], i);
    this.starts = { paths: cumulative(data.paths), reasons: cumulative(data.reasons), edges: cumulative(data.edges),
      heads_of_tail: cumulative(data.heads_of_tail.count), tails_of_head: cumulative(data.tails_of_head.count) };
  }

  find(head, tail) {
    const number = this.numberOfPair.get(tail * 2 ** 26 + head);
    if (number === undefined) return null;
    const { data, starts } = this;
    const paths = [];
    for (let p = starts.paths[number]; p < starts.paths[number + 1]; p++) {
      const edges = [];
      for (let e = starts.edges[p]; e < starts.edges[p + 1]; e++) {
        edges.push({ relation: this.texts[data.relation[e]], arrow: data.arrow[e], ...this.originOf(e) });
      }
      // A path of n edges has n - 1 inner nodes, and p paths came before.
      const inner = Array.from(data.inner.subarray(starts.edges[p] - p, starts.edges[p + 1] - p - 1), (n) => this.nodes.at(n));
      paths.push({ edges, inner, change: Number.isNaN(data.change[p]) ? null : data.change[p] });
    }
    const reasons = [];
    for (let r = starts.reasons[number]; r < starts.reasons[number + 1]; r++) {
      reasons.push({ text: this.texts[data.text[r]], share: data.share[r], voters: this.texts[data.voters[r]] });
    }
    const similar = (name) => Array.from(
      data[name].node.subarray(starts[name][number], starts[name][number + 1]),
      (n, i) => ({ ...this.nodes.at(n), similarity: data[name].similarity[starts[name][number] + i] }));
    return { paths, reasons, similarHeads: similar("heads_of_tail"), similarTails: similar("tails_of_head") };
  }

  // Where an edge comes from, if the graph says so.
  originOf(edge) {
    const { source, publications } = this.data;
    if (!source) return { source: "", publications: [] };
    return { source: this.texts[source[edge]], publications: this.texts[publications[edge]].split("|").filter(Boolean) };
  }
}

function cumulative(counts) {
  const starts = new Uint32Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) starts[i + 1] = starts[i] + counts[i];
  return starts;
}

// All nodes of the graph by node number.
class NodeTable {
  constructor(types) {
    this.types = types;
    this.first = cumulative(types.map((type) => type.ids.length));
    this.count = this.first[types.length];
  }

  at(number) {
    let type = 0;
    while (number >= this.first[type + 1]) type++;
    const index = number - this.first[type];
    const nodes = this.types[type];
    return { number, id: nodes.ids[index], name: nameOf(nodes, index), type, typeName: nodes.type };
  }
}

// The path whose removal lowers the score most; the first one if no change is known.
function leadingOf(paths) {
  return paths.reduce((best, path) => ((path.change || 0) < (best.change || 0) ? path : best), paths[0]);
}

function leadingFirst(paths) {
  const leading = leadingOf(paths);
  return [leading, ...paths.filter((path) => path !== leading)];
}

function pathText(drug, disease, path) {
  const names = [...path.inner.map((node) => node.name), disease.name];
  return drug.name + path.edges.map(({ relation, arrow }, i) =>
    ` ${arrow === AGAINST ? "<-" : "-"}[${relation}]${arrow === ALONG ? "->" : "-"} ${names[i]}`).join("");
}

// An <svg> of paths from left to right, a line each between the drug and the disease, the leading one first.
function pathGraph(drug, disease, paths) {
  const { total, end, inner, height, lane } = DRAWN;
  const leading = leadingOf(paths);
  const ordered = leadingFirst(paths);
  const tall = ordered.length * lane;
  const parts = [];
  ordered.forEach((path, line) => {
    const y = (line + 0.5) * lane;
    const gap = (total - 2 * end - path.inner.length * inner) / path.edges.length;
    const stops = [drug, ...path.inner, disease];
    path.edges.forEach((edge, i) => {
      const left = end + i * (gap + inner);
      const attributes = { x1: left + 2, y1: y, x2: left + gap - 2, y2: y, class: path === leading ? "edge lead" : "edge" };
      if (edge.arrow === ALONG) attributes["marker-end"] = "url(#arrow)";
      if (edge.arrow === AGAINST) attributes["marker-start"] = "url(#arrow)";
      const name = withoutTypes(edge.relation, stops[i].typeName, stops[i + 1].typeName);
      parts.push(draw("line", attributes),
        draw("text", { x: left + gap / 2, y: y - 6, class: "relation" }, shortened(visible(name), Math.floor(gap / 6.2)), draw("title", {}, visible(edge.relation))));
      if (i < path.inner.length) parts.push(nodeBox(path.inner[i], left + gap, y - height / 2, inner, height));
    });
  });
  const arrow = draw("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 8, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" },
    draw("path", { d: "M0 0L8 4L0 8z" }));
  const texts = ordered.map((path) => pathText(drug, disease, path)).join("; ");
  return draw("svg", { viewBox: `0 0 ${total} ${tall}`, width: total, height: tall, role: "img", "aria-label": texts, class: "paths" },
    draw("defs", {}, arrow), nodeBox(drug, 0, 4, end, tall - 8), nodeBox(disease, total - end, 4, end, tall - 8), ...parts);
}

function nodeBox(node, x, y, width, height) {
  return draw("g", { class: `node type-${node.type % 12}` },
    draw("rect", { x: x + 1.5, y, width: width - 3, height, rx: 6 }),
    twoLines(visible(node.name), Math.floor(width / 7.4), x + width / 2, y + height / 2 + 4),
    draw("title", {}, `${visible(node.name)} (${node.typeName})`));
}

// A text in the middle of a box, on two lines if it is too long for one; what does not fit into these is cut.
function twoLines(text, length, x, y) {
  const [first, second] = broken(text, length);
  if (!second) return draw("text", { x, y }, shortened(first, length));
  // The blank between the lines is for who reads the text without its places.
  return draw("text", { x, y }, draw("tspan", { x, dy: -7 }, `${shortened(first, length)} `), draw("tspan", { x, dy: 15 }, shortened(second, length)));
}

// The words that fit into a line, and the others.
function broken(text, length) {
  if ([...text].length <= length) return [text, ""];
  const words = text.split(" ");
  let count = 1;
  while (count < words.length && [...words.slice(0, count + 1).join(" ")].length <= length) count++;
  return [words.slice(0, count).join(" "), words.slice(count).join(" ")];
}

// "binds" for "compound_binds_gene" between a compound and a gene; other names stay, as in graph/names.py.
function withoutTypes(relation, one, other) {
  for (const [first, last] of [[one, other], [other, one]]) {
    const [start, end] = [`${first}_`, `_${last}`];
    if (relation.startsWith(start) && relation.endsWith(end) && relation.length > start.length + end.length) {
      return relation.slice(start.length, -end.length).replaceAll("_", " ");
    }
  }
  return relation.replaceAll("_", " ");
}

// The relations of a pair without the types in their names.
function knownInWords(known, data) {
  return known.split("; ").map((relation) => withoutTypes(relation, data.heads.type, data.tails.type)).join("; ");
}

function shortened(text, length) {
  const letters = [...text];
  return letters.length > length ? `${letters.slice(0, length - 1).join("")}\u2026` : text;
}

function signed(value) {
  return `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(2)}`;
}

// The dossier of a row as elements. dossier: of Dossiers.find, or null.
function dossierOf(row, dossier, drug, disease, data) {
  const parts = [make("button", { type: "button", class: "close", onclick: () => { location.hash = data.listLink; } }, "Close"),
    make("h3", { id: "dossier-title", tabindex: "-1" }, "Why ", named(drug.name), " for ", named(disease.name), "?"), make("p", {}, ...chances(row)), lookUps(drug, disease)];
  if (row.known) parts.push(make("p", {}, "The graph already connects them: ", named(knownInWords(row.known, data)), "."));
  if (row.flags.length || row.caution) parts.push(make("p", { class: "note" }, "Caution: ", named([...row.flags, row.caution].filter(Boolean).join("; ")), "."));
  if (row.contraindication !== null) parts.push(make("p", {}, `The contraindication model: ${inWords(row.contraindication)} such pairs are known negatives.`));
  if (row.repeats) parts.push(make("p", { class: "note" }, "Known in other words: ", named(row.repeats), "."));
  if (row.review) parts.push(make("p", { class: "note" }, "Reviewed: ", named([row.review, row.note].filter(Boolean).join("; ")), "."));
  for (const [side, index, name] of [[data.heads, row.head, drug.name], [data.tails, row.tail, disease.name]]) {
    const said = side.about.map(({ name: column, texts, code }) => [column, texts[code[index]]]).filter(([, text]) => text);
    if (said.length) parts.push(make("p", {}, "About ", named(name), ": ", named(said.map(([column, text]) => `${column} ${valuesOf(text, data.separator).join(", ")}`).join("; ")), "."));
  }
  if (!dossier) {
    parts.push(make("p", {}, "Paths and reasons of this pair are not in this page. This command prints them:"),
      make("pre", {}, make("code", {}, `python scripts/query_candidates.py --pair ${quoted(drug.id)} ${quoted(disease.id)} --device ${quoted(data.first)}`)));
    return parts;
  }
  if (dossier.reasons.length) {
    const most = Math.max(...dossier.reasons.map((reason) => reason.share));
    parts.push(make("h4", {}, "What raises the score most"), make("ul", { class: "reasons" }, ...dossier.reasons.map((reason) => make("li", {},
      make("meter", { value: reason.share, max: most, "aria-hidden": "true" }), ` ${signed(reason.share)} `, named(reason.text),
      reason.voters ? make("small", {}, " ", named(reason.voters)) : null))));
  }
  if (dossier.paths.length) {
    const isMeasured = dossier.paths.some((path) => path.change !== null);
    parts.push(make("h4", {}, "Paths between them"),
      make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Paths, drawn" }, pathGraph(drug, disease, dossier.paths)),
      make("p", { class: "soft" }, isMeasured
        ? "The thick path is the one whose removal lowers the score most. The changes are small if the score rests on many paths; they are in log-odds, of the part of the score that reads embeddings. No path says whether a drug helps or harms: the graph has no direction of effect."
        : "The thick path is the one with the rarest links. No path says whether a drug helps or harms: the graph has no direction of effect."),
      make("ol", { class: "path-list" }, ...leadingFirst(dossier.paths).map((path) => make("li", {}, named(pathText(drug, disease, path)),
        path.change === null ? null : make("small", {}, ` score ${signed(path.change)} without it`), originsOf(drug, disease, path)))));
  } else parts.push(make("p", {}, "No path of up to three edges connects them."));
  parts.push(...similarTo(dossier.similarHeads, `Known ${data.heads.type}s of this ${data.tails.type} that are most similar to this one`),
    ...similarTo(dossier.similarTails, `${data.tails.type}s that this ${data.heads.type} is known to treat, most similar first`));
  return parts;
}

// Sources and publications of a path's edges as a list, or null if none is known.
function originsOf(drug, disease, path) {
  const stops = [drug, ...path.inner, disease];
  const lines = path.edges.map((edge, i) => ({ ...edge, from: stops[i], to: stops[i + 1] })).filter((edge) => edge.source || edge.publications.length);
  if (!lines.length) return null;
  return make("ul", { class: "origins" }, ...lines.map(({ relation, source, publications, from, to }) => make("li", {},
    named(`${from.name} \u2013 ${withoutTypes(relation, from.typeName, to.typeName)} \u2013 ${to.name}`), ": ", named(source),
    ...publications.flatMap((id, i) => [i || source ? ", " : "", linkedPublication(id)]))));
}

function chances(row) {
  const bin = binOf(row.bins, row.probability);
  const place = row.high > row.low ? ` (${whole(row.low)} to ${whole(row.high)} over the models)` : "";
  return [`Rank ${whole(row.rank)}${place}. `, bin
    ? `In the test, ${observedInWords(row)} pairs with such scores were treatments (${whole(bin.positives)} of ${whole(bin.pairs)}; 95 % interval: ${intervalInWords(bin)}). ${ofThisPair(row, bin)}`
    : `The model expects a treatment in ${inWords(row.probability)} such pairs; no test says how far this holds.`];
}

// The test counts pairs of a range of scores; a pair at an end of the range has another chance than their mean.
function ofThisPair(row, bin) {
  const end = row.probability > bin.high ? "upper" : row.probability < bin.low ? "lower" : "";
  return end ? `This pair is at the ${end} end of these scores, where the model expects ${inWords(row.probability)}.` : `For this pair alone the model expects ${inWords(row.probability)}.`;
}

function similarTo(nodes, title) {
  if (!nodes.length) return [];
  return [make("h4", {}, capitalised(title)), make("ul", {}, ...nodes.map((node) => make("li", {}, named(node.name),
    make("small", {}, " ", named(node.id), `, cosine ${node.similarity.toFixed(2)}`))))];
}

function quoted(text) {
  return /^[\w:.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
