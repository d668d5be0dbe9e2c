// Puts the page together: explorer, dossier, map, and the switches between devices and splits.

const state = { data: null, details: null, map: null };

// What a link says: "#disease=ID&drug=ID"; the first key is the one whose list is shown.
function asked() {
  const parameters = [...new URLSearchParams(location.hash.slice(1))].filter(([key, value]) => ["disease", "drug"].includes(key) && value);
  if (!parameters.length) return null;
  const [[key, id], second] = parameters;
  return { side: key === "disease" ? "tail" : "head", id, partner: second && second[0] !== key ? second[1] : null };
}

function linkTo(side, id, partner) {
  const keys = side === "tail" ? ["disease", "drug"] : ["drug", "disease"];
  const parts = [[keys[0], id], ...(partner ? [[keys[1], partner]] : [])];
  return `#${parts.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&")}`;
}

async function startExplorer() {
  const element = byId("data-lists");
  if (!element) return;
  const data = await unpack(element);
  state.data = data;
  data.heads = { ...data.heads, key: "head" };
  data.tails = { ...data.tails, key: "tail" };
  const index = new Index([data.tails, data.heads]);
  state.indexOfId = { tail: new Map(data.tails.ids.map((id, i) => [id, i])), head: new Map(data.heads.ids.map((id, i) => [id, i])) };
  const view = new ListView(byId("list"), data, (partner) => open(view, partner));
  state.view = view;
  const go = (entry) => { location.hash = linkTo(entry.side.key, entry.id); };
  state.search = new Combobox(byId("query"), byId("matches"), byId("query-status"), (query) => index.find(query), go,
    ` For a ${data.tails.type} that the graph lacks, query_candidates.py takes genes or symptoms (docs/results.md).`);
  byId("explorer").hidden = false;
  addEventListener("hashchange", follow);
  follow();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

function open(view, partner) {
  const partners = view.side === "tail" ? state.data.heads : state.data.tails;
  const isOpen = view.opened === partner;
  location.hash = linkTo(view.side, view.node.ids[view.index], isOpen ? null : partners.ids[partner]);
}

function follow() {
  const request = asked();
  const places = { list: byId("list"), dossier: byId("dossier") };
  if (!request) {
    // A link to a section, or none: an open list stays where it is, unless the address is bare.
    if (location.hash.length < 2) { places.list.hidden = true; places.dossier.hidden = true; byId("query").value = ""; }
    return;
  }
  const index = state.indexOfId[request.side].get(request.id);
  places.dossier.hidden = true;
  if (index === undefined) {
    places.list.hidden = false;
    places.list.replaceChildren(make("p", { class: "note", role: "status" }, "No ranked node has the id ", named(request.id), ". Search for its name above."));
    return;
  }
  const node = request.side === "tail" ? state.data.tails : state.data.heads;
  const partner = request.partner === null ? null : state.indexOfId[request.side === "tail" ? "head" : "tail"].get(request.partner);
  byId("query").value = nameOf(node, index);
  const isSameList = state.view.side === request.side && state.view.index === index && !places.list.hidden;
  if (isSameList) { state.view.opened = partner; state.view.refresh(); } else state.view.show(request.side, index, partner);
  if (request.partner === null) {
    byId(isSameList ? "candidates" : "list-title").scrollIntoView({ block: "start" });
    if (!isSameList) byId("list-title").focus({ preventScroll: true });
    return;
  }
  showDossier(request, partner);
}

async function showDossier(request, partner) {
  const place = byId("dossier");
  const row = partner === undefined ? undefined : state.view.rows.find((each) => each.partner === partner);
  place.hidden = false;
  if (!row) {
    place.replaceChildren(make("h3", { id: "dossier-title", tabindex: "-1" }, named(request.partner)),
      make("p", {}, `is not among the pairs of this list that the page holds (the best ${state.data.top} new ones). candidates/${state.data.device}/candidates.csv has more, and so has `,
        make("code", {}, "python scripts/query_candidates.py"), "."));
  } else {
    const { dossiers, nodes, firstHead, firstTail } = await details();
    const found = dossiers.find(row.head, row.tail);
    state.data.listLink = linkTo(request.side, request.id, null);
    place.replaceChildren(...dossierOf(row, found, nodes.at(firstHead + row.head), nodes.at(firstTail + row.tail), state.data));
  }
  place.scrollIntoView({ block: "start" });
  byId("dossier-title").focus({ preventScroll: true });
}

// Nodes and dossiers are read when they are first needed.
function details() {
  state.details ??= readDetails();
  return state.details;
}

async function readDetails() {
  const nodes = await allNodes();
  const data = await unpack(byId("data-dossiers"));
  const { head_type: head, tail_type: tail } = data;
  return { nodes, dossiers: new Dossiers(data, data.texts, nodes), firstHead: nodes.first[head], firstTail: nodes.first[tail] };
}

function allNodes() {
  state.nodes ??= unpack(byId("data-nodes")).then(({ types }) => new NodeTable(types.map((type) =>
    type.of ? { type: type.type, ids: state.data[type.of].ids, names: state.data[type.of].names } : type)));
  return state.nodes;
}

function startMap() {
  const button = byId("map-draw");
  if (!button) return;
  byId("map").hidden = false;
  button.addEventListener("click", () => drawMap());
  for (const input of document.querySelectorAll("input[name=map-device]")) input.addEventListener("change", () => state.map && drawMap());
}

async function drawMap() {
  const started = performance.now();
  let place = byId("map-canvas");
  const chosen = document.querySelector("input[name=map-device]:checked");
  const nodes = await allNodes();
  const data = await unpack(byId(`data-map-${chosen ? chosen.value : 0}`));
  if (state.map) place = state.map.remove();
  byId("map-draw").hidden = true;
  byId("map-tools").hidden = false;
  place.hidden = false;
  state.map = new EmbeddingMap(place, data, nodes);
  byId("map-types").replaceChildren(...nodes.types.map((type, number) => make("label", {},
    make("input", { type: "checkbox", checked: true, onchange: (event) => state.map.toggleType(number, event.target.checked) }),
    swatch(PALETTE[number % 12]), ` ${type.type} (${whole(type.ids.length)})`)));
  if (!state.mapSearch) {
    const sides = nodes.types.map((type, number) => ({ type: type.type, ids: type.ids, names: type.names, treatments: null, first: nodes.first[number] }));
    let index = null;
    state.mapSearch = new Combobox(byId("map-query"), byId("map-matches"), byId("map-status"),
      (query) => (index ??= new Index(sides)).find(query), (entry) => state.map.choose(entry.side.first + entry.index));
    byId("map-reset").addEventListener("click", () => state.map.reset());
    byId("map-in").addEventListener("click", () => state.map.zoomBy(ZOOM));
    byId("map-out").addEventListener("click", () => state.map.zoomBy(1 / ZOOM));
  }
  requestAnimationFrame(() => requestAnimationFrame(() => { place.dataset.painted = String(Math.round(performance.now() - started)); }));
}

function swatch(colour) {
  return draw("svg", { class: "swatch", viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" }, draw("circle", { cx: 5, cy: 5, r: 5, fill: colour }));
}

// Parts with data-switch="NAME" and data-value="V" show only the chosen value of the switch NAME.
function startSwitches() {
  for (const place of document.querySelectorAll("[data-choices]")) {
    const name = place.dataset.choices;
    const parts = [...document.querySelectorAll("[data-switch]")].filter((part) => part.dataset.switch === name);
    // Of splits, the one that hides whole diseases comes first: it is the test for a disease without a treatment.
    const values = [...new Set(parts.map((part) => part.dataset.value))].sort((a, b) => (b === "disease") - (a === "disease"));
    if (values.length < 2) continue;
    const show = (value) => { for (const part of parts) part.hidden = part.dataset.value !== value; };
    place.append(make("legend", {}, place.dataset.label), ...values.map((value, number) => make("label", {},
      make("input", { type: "radio", name: `switch-${name}`, value, checked: number === 0, onchange: () => show(value) }), ` ${value}`)));
    place.hidden = false;
    show(values[0]);
  }
}

startSwitches();
startMap();
startExplorer().catch((error) => {
  byId("list").hidden = false;
  byId("list").replaceChildren(make("p", { class: "note", role: "alert" }, `This browser cannot open the lists (${error.message}). A current Chromium, Firefox or Safari can; the tables below and candidates.csv need no script.`));
  byId("explorer").hidden = false;
});
