// Elements without HTML strings: text from the data is only ever set as text.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  element.append(...children);
  return element;
}

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
}

// A name from the data: right-to-left marks in it change nothing around it, and marks that cannot be seen are shown.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function visible(text) {
  return text.replace(UNSEEN, (mark) => `\u27e8U+${mark.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);
}

// Lines may break after an underscore, because names of relations are long.
function named(text) {
  return make("bdi", {}, ...visible(text).split(/(?<=_)/).flatMap((part, i) => (i ? [make("wbr"), part] : [part])));
}

function capitalised(text) {
  return text.replace(/^./, (letter) => letter.toUpperCase());
}

// The name of a node of a side or of a type of nodes: {ids, names}; names that are the id are left out there.
function nameOf(nodes, index) {
  return nodes.names[index] || nodes.ids[index];
}

function byId(id) {
  return document.getElementById(id);
}
