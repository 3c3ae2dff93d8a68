// The whole state of the page in its address: a link shows what its sender sees.

import { noDamage } from "lenet/damage.js";

/** @typedef {{model: string, compare: string, scale: "map" | "layer" | "network", language: string,
 *   drawing: import("lenet/pad.js").Drawing, framing: boolean, pin: import("lenet/geometry.js").Unit | null,
 *   damage: import("lenet/damage.js").Damage, question: string}} State */

/** @returns {State} */
export function makeState() {
  return {
    model: "", compare: "", scale: "layer", language: "en", drawing: { strokes: [], image: null }, framing: true,
    pin: null, damage: noDamage(), question: "",
  };
}

/** The address of a state, without its "#". What is as at first is left out.
 * @param {State} state
 */
export function writeAddress(state) {
  const { damage, drawing } = state;
  const values = {
    model: state.model,
    beside: state.compare,
    scale: state.scale === "layer" ? "" : state.scale,
    language: state.language,
    ink: drawing.strokes.length ? writeStrokes(drawing.strokes) : "",
    image: drawing.image ? toText(drawing.image) : "",
    framing: state.framing ? "" : "off",
    pin: state.pin ? `${state.pin.layer}.${state.pin.index}` : "",
    mute: damage.muted.join(","),
    biases: damage.biases ? "zero" : "",
    noise: damage.weightNoise || "",
    grain: damage.imageNoise || "",
    edit: Object.entries(damage.edits)
      .flatMap(([name, edits]) => Object.entries(edits).map(([index, value]) => `${name}.${index}.${value}`))
      .join(","),
    question: state.question,
  };
  const given = Object.entries(values).filter(([, value]) => value !== "");
  return new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
}

/** The state of an address; what cannot be understood is as at first.
 * @param {string} hash
 * @returns {State}
 */
export function readAddress(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const state = makeState();
  const get = (key) => values.get(key) ?? "";
  const number = (key, most) => Math.min(most, Math.max(0, Number(get(key)) || 0));
  state.model = get("model");
  state.compare = get("beside");
  state.language = get("language");
  const scale = get("scale");
  if (scale === "map" || scale === "network") state.scale = scale;
  state.drawing = { strokes: readStrokes(get("ink")), image: readImage(get("image")) };
  state.framing = get("framing") !== "off";
  const pin = /^([a-z_]+\d*)\.(\d{1,7})$/.exec(get("pin"));
  if (pin) state.pin = { layer: pin[1], index: Number(pin[2]) };
  state.damage = {
    muted: get("mute").split(",").filter((each) => /^[a-z_]+\d*\.\d{1,4}$/.test(each)),
    biases: get("biases") === "zero",
    weightNoise: number("noise", 2),
    imageNoise: number("grain", 1),
    edits: readEdits(get("edit")),
  };
  state.question = get("question");
  return state;
}

function readEdits(text) {
  /** @type {{[parameter: string]: {[index: number]: number}}} */
  const edits = {};
  for (const each of text.split(",")) {
    const found = /^([a-z]+\d*\.(?:weight|bias))\.(\d{1,8})\.(-?\d+(?:\.\d+)?)$/.exec(each);
    if (found) (edits[found[1]] ??= {})[Number(found[2])] = Number(found[3]);
  }
  return edits;
}

/** Strokes as text: a byte for the kind, two for the number of points, two for each number. */
function writeStrokes(strokes) {
  const numbers = strokes.flatMap(({ erase, points }) => [erase ? 1 : 0, points.length, ...points]);
  return toText(new Uint8Array(Uint16Array.from(numbers).buffer));
}

function readStrokes(text) {
  const bytes = fromText(text);
  const numbers = new Uint16Array(bytes.slice(0, bytes.length & ~1).buffer);
  const strokes = [];
  for (let i = 0; i + 3 < numbers.length; ) {
    const [erase, count] = numbers.slice(i, i + 2);
    const points = [...numbers.slice(i + 2, i + 2 + count)];
    if (!count || count % 2 || points.length !== count || points.some((value) => value > 280)) break;
    strokes.push({ erase: erase === 1, points });
    i += 2 + count;
  }
  return strokes;
}

function readImage(text) {
  const bytes = fromText(text);
  return bytes.length === 784 ? bytes : null;
}

/** Bytes as text for an address: base64 with its two special characters replaced. */
export function toText(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromText(text) {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array(0);
  }
}
