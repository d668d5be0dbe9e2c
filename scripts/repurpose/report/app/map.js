// The map of the embeddings: every node as a point. d3 zooms and finds the point under the mouse; the points are
// written into the canvas's pixels, which takes a few milliseconds for a hundred thousand of them, without a graphics card.

const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f", "#a6761d", "#1b9e77", "#e7298a", "#666666"];
const NEAREST_ON_MAP = 5;
const COORDINATES = 65535; // coordinates are whole numbers up to this
const FOUND_WITHIN = 12; // pixels from the mouse to a point
const ZOOM = 1.6; // of a button

class EmbeddingMap {
  // data: {x, y, is_placed: of all nodes; nearest: [{type, count, node}] of the target's types}
  constructor(canvas, data, nodes) {
    Object.assign(this, { canvas, data, nodes, chosen: null, near: [], hiddenTypes: new Set(), transform: d3.zoomIdentity });
    this.context = canvas.getContext("2d");
    this.typeOf = new Uint8Array(nodes.count);
    for (let type = 0; type < nodes.types.length; type++) this.typeOf.fill(type, nodes.first[type], nodes.first[type + 1]);
    // Points are drawn in a mixed order, so that no type covers all others.
    const order = Uint32Array.from({ length: nodes.count }, (_, number) => number).filter((number) => data.is_placed[number]);
    const mix = d3.randomLcg(0.5);
    this.order = d3.shuffler(mix)(order);
    this.zoom = d3.zoom().scaleExtent([0.5, 400]).on("zoom", (event) => { this.transform = event.transform; this.schedule(); });
    this.selection = d3.select(canvas).call(this.zoom).on("dblclick.zoom", null);
    canvas.addEventListener("mousemove", (event) => this.hover(this.at(event)));
    canvas.addEventListener("mouseleave", () => this.hover(null));
    canvas.addEventListener("click", (event) => { const number = this.at(event); if (number !== null) this.choose(number, false); });
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(canvas);
    this.resize();
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    this.scale = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.max(1, Math.round(box.width * this.scale));
    this.canvas.height = Math.max(1, Math.round(box.height * this.scale));
    this.side = Math.min(box.width, box.height) * 0.96;
    this.left = (box.width - this.side) / 2;
    this.top = (box.height - this.side) / 2;
    this.pixels = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.words = new Uint32Array(this.pixels.data.buffer);
    this.tree = null;
    this.schedule();
  }

  // The place of a node on the page's map before zooming, in CSS pixels.
  placeX(number) { return this.left + (this.data.x[number] / COORDINATES) * this.side; }
  placeY(number) { return this.top + (1 - this.data.y[number] / COORDINATES) * this.side; }

  schedule() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    const { words, order, typeOf, data } = this;
    const { width, height } = this.canvas;
    const isMarked = this.chosen !== null;
    const colours = PALETTE.map((colour) => littleEndian(colour, isMarked ? 70 : 255));
    const { k, x: dx, y: dy } = this.transform;
    const size = Math.round(Math.min(7, Math.max(2, 1.4 * Math.sqrt(k))) * this.scale);
    const stepX = (this.side / COORDINATES) * k * this.scale;
    const startX = (this.left * k + dx) * this.scale - size / 2;
    const startY = ((this.top + this.side) * k + dy) * this.scale - size / 2;
    const isHidden = this.nodes.types.map((_, type) => this.hiddenTypes.has(type));
    words.fill(0);
    for (let i = 0; i < order.length; i++) {
      const number = order[i];
      const type = typeOf[number];
      if (isHidden[type]) continue;
      const x = Math.round(startX + data.x[number] * stepX);
      const y = Math.round(startY - data.y[number] * stepX);
      if (x < 0 || y < 0 || x + size > width || y + size > height) continue;
      const colour = colours[type % 12];
      for (let row = y * width + x, end = row + size * width; row < end; row += width) words.fill(colour, row, row + size);
    }
    this.context.putImageData(this.pixels, 0, 0);
    if (isMarked) this.mark();
  }

  mark() {
    const { context } = this;
    const ink = getComputedStyle(this.canvas).color;
    context.save();
    context.scale(this.scale, this.scale);
    context.font = "600 13px system-ui, sans-serif";
    for (const number of [...this.near, this.chosen]) {
      const [x, y] = this.transform.apply([this.placeX(number), this.placeY(number)]);
      context.beginPath();
      context.arc(x, y, number === this.chosen ? 8 : 5, 0, 2 * Math.PI);
      context.fillStyle = PALETTE[this.typeOf[number] % 12];
      context.fill();
      context.strokeStyle = ink;
      context.lineWidth = number === this.chosen ? 2.5 : 1;
      context.stroke();
      context.fillStyle = ink;
      context.fillText(shortened(visible(this.nodes.at(number).name), 40), x + 11, y + 4);
    }
    context.restore();
  }

  // The node under the mouse, or null.
  at(event) {
    this.tree ??= d3.quadtree(this.order, (number) => this.placeX(number), (number) => this.placeY(number));
    const [x, y] = this.transform.invert(d3.pointer(event, this.canvas));
    const found = this.tree.find(x, y, FOUND_WITHIN / this.transform.k);
    return found === undefined || this.hiddenTypes.has(this.typeOf[found]) ? null : found;
  }

  hover(number) {
    const tip = byId("map-tip");
    if (number === null) { tip.textContent = ""; return; }
    const node = this.nodes.at(number);
    tip.replaceChildren(named(node.name), ` ${DASH} `, named(node.id), `, ${node.typeName}`);
  }

  toggleType(type, isShown) {
    if (isShown) this.hiddenTypes.delete(type); else this.hiddenTypes.add(type);
    this.schedule();
  }

  // The nearest nodes of the same type: by the whole vectors for heads and tails, else on the map.
  nearest(number) {
    const type = this.typeOf[number];
    const first = this.nodes.first[type];
    const known = this.data.nearest.find((part) => part.type === type);
    if (known) return Array.from(known.node.subarray((number - first) * known.count, (number - first + 1) * known.count), (index) => first + index);
    const { x, y, is_placed: isPlaced } = this.data;
    const others = d3.range(first, this.nodes.first[type + 1]).filter((other) => other !== number && isPlaced[other]);
    return d3.sort(others, (other) => (x[other] - x[number]) ** 2 + (y[other] - y[number]) ** 2).slice(0, NEAREST_ON_MAP);
  }

  choose(number, isMoved = true) {
    if (!this.data.is_placed[number]) { byId("map-found").textContent = "This node has no vector, so it is not on the map."; return; }
    const node = this.nodes.at(number);
    this.chosen = number;
    this.near = this.nearest(number);
    const isKnown = this.data.nearest.some((part) => part.type === node.type);
    byId("map-found").replaceChildren(named(node.name), `: nearest ${node.typeName}s ${isKnown ? "by their vectors" : "on the map"}: `,
      ...this.near.flatMap((other, i) => [i ? ", " : "", named(this.nodes.at(other).name)]));
    if (isMoved) this.moveTo(number);
    this.schedule();
  }

  moveTo(number) {
    const box = this.canvas.getBoundingClientRect();
    const k = Math.max(6, this.transform.k);
    const target = d3.zoomIdentity.translate(box.width / 2, box.height / 2).scale(k).translate(-this.placeX(number), -this.placeY(number));
    this.selection.transition().duration(isStill() ? 0 : 400).call(this.zoom.transform, target);
  }

  zoomBy(factor) {
    this.selection.transition().duration(isStill() ? 0 : 200).call(this.zoom.scaleBy, factor);
  }

  reset() {
    this.chosen = null;
    this.near = [];
    byId("map-found").textContent = "";
    this.selection.transition().duration(isStill() ? 0 : 300).call(this.zoom.transform, d3.zoomIdentity);
    this.schedule();
  }

  remove() {
    this.watcher.disconnect();
    this.selection.on(".zoom", null);
    const fresh = this.canvas.cloneNode();
    this.canvas.replaceWith(fresh);
    return fresh;
  }
}

// Whether the person asked their system for less motion.
function isStill() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function littleEndian(colour, alpha) {
  const { r, g, b } = d3.rgb(colour);
  return ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
}
