// Reads what packing.py wrote: JSON in which {array, at, length} stands for a typed array.

const ARRAYS = { Uint8Array, Uint16Array, Uint32Array, Float32Array };
const ALIGNMENT = 8;

function bytesOfBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

async function unpack(element) {
  const stream = new Blob([bytesOfBase64(element.textContent.trim())]).stream();
  const buffer = await new Response(stream.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const start = Math.ceil((4 + length) / ALIGNMENT) * ALIGNMENT;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return withArrays(header, buffer, start);
}

function withArrays(value, buffer, start) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    // A long list of texts is returned as it is; only lists of objects can hold arrays.
    return value[0] && typeof value[0] === "object" ? value.map((part) => withArrays(part, buffer, start)) : value;
  }
  if (typeof value.array === "string") return new ARRAYS[value.array](buffer, start + value.at, value.length);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withArrays(part, buffer, start)]));
}
