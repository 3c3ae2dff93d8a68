// What a LeNet is made of: the settings on a checkpoint's card, and the layers that they describe.
// The same rules as models/config.py, so that the page refuses what the package refuses.
import { BITMAP_PIXELS, BORDER, COPIES, countLinks, LINKS } from "lenet/classic.js";

/**
 * @typedef {object} Config
 * @property {number} input_size side in pixels of the square image that the first convolution sees
 * @property {number[]} channels output channels of each convolution
 * @property {number} kernel_size
 * @property {number} padding of the first convolution; with the pooling "stride", of every one
 * @property {string} activation
 * @property {string} pooling "avg", "max", "sum" or "stride"
 * @property {number[]} hidden widths of the dense layers before the output
 * @property {number} classes
 * @property {number} dropout
 * @property {number} pixel_mean
 * @property {number} pixel_std
 * @property {string} fit "pad" or "resize"
 * @property {number} contrast_sigma 0: no local contrast normalisation
 * @property {boolean} reject_class
 * @property {string} initialisation
 * @property {string} wiring "full", or the name of a table
 * @property {string} output "linear" or "rbf"
 * @property {number} margin
 */

/**
 * @typedef {object} Layer
 * @property {string} name
 * @property {string} kind the name of PyTorch's module; "Input" for the prepared image
 * @property {number[]} shape of what leaves the layer for one image: [C, H, W] or [N]
 * @property {number} parameters number of weights and biases
 */

export const POOL = 2; // side and stride of every pooling window
const LARGEST_SIDE = 512;
const LARGEST_WIDTH = 8192;
const MOST_PARAMETERS = 50_000_000;
const MOST_OUTPUTS = 10_000_000; // of one layer for one image
const MOST_LAYERS = 100;

/** @type {Record<string, string>} */
const ACTIVATION_KINDS = {
  sigmoid: "Sigmoid",
  tanh: "Tanh",
  relu: "ReLU",
  "leaky-relu": "LeakyReLU",
  elu: "ELU",
  gelu: "GELU",
  silu: "SiLU",
  "scaled-tanh": "ScaledTanh",
};
/** @type {Record<string, string>} */
const POOLING_KINDS = { avg: "AvgPool2d", max: "MaxPool2d", sum: "Subsampling" };
/** The spelling of older checkpoints. @type {Record<string, string>} */
const OLD_NAMES = { neighbourhood: "contrast_sigma", background: "reject_class" };

/** @param {number} least @param {number} most */
const whole = (least, most) => (/** @type {unknown} */ value) =>
  Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
/** @param {number} least @param {number} most */
const number = (least, most) => (/** @type {unknown} */ value) =>
  typeof value === "number" && value >= least && value <= most;
const widths = (/** @type {unknown} */ value) => Array.isArray(value) && value.every(whole(1, LARGEST_WIDTH));
/** @param {string[]} choices */
const oneOf =
  (...choices) =>
  (/** @type {unknown} */ value) =>
    choices.includes(/** @type {string} */ (value));

/**
 * The default of each setting, and what it may be.
 * @type {Record<string, [unknown, (value: unknown) => boolean]>}
 */
const SETTINGS = {
  input_size: [28, whole(1, LARGEST_SIDE)],
  channels: [[6, 16], (value) => widths(value) && /** @type {unknown[]} */ (value).length > 0],
  kernel_size: [5, whole(1, LARGEST_SIDE)],
  padding: [2, whole(0, LARGEST_SIDE)],
  activation: ["relu", oneOf(...Object.keys(ACTIVATION_KINDS))],
  pooling: ["max", oneOf(...Object.keys(POOLING_KINDS), "stride")],
  hidden: [[120, 84], widths],
  classes: [10, whole(2, LARGEST_WIDTH)],
  dropout: [0, number(0, 0.99)],
  pixel_mean: [0, number(-1000, 1000)],
  pixel_std: [1, number(1e-6, 1000)],
  fit: ["pad", oneOf("pad", "resize")],
  contrast_sigma: [0, number(0, LARGEST_SIDE)],
  reject_class: [false, (value) => typeof value === "boolean"],
  initialisation: ["default", oneOf("default", "xavier", "kaiming", "fan-in")],
  wiring: ["full", oneOf("full", ...Object.keys(LINKS))],
  output: ["linear", oneOf("linear", "rbf")],
  margin: [0, whole(0, LARGEST_SIDE)],
};

/**
 * The configuration that a card describes; what it leaves out has its default.
 *
 * Throws RangeError on an unknown setting, on a value out of range, and where a layer has no room.
 * @param {Record<string, unknown>} card
 * @returns {Config}
 */
export function readConfig(card) {
  const given = new Map(Object.entries(card).map(([name, value]) => [OLD_NAMES[name] ?? name, value]));
  for (const name of given.keys()) {
    if (!Object.hasOwn(SETTINGS, name)) throw new RangeError(`a LeNet has no setting ${JSON.stringify(name)}`);
  }
  const config = /** @type {Config} */ (
    Object.fromEntries(
      Object.entries(SETTINGS).map(([name, [usual, fits]]) => {
        const value = given.has(name) ? given.get(name) : usual;
        if (!fits(value)) throw new RangeError(`${name} is ${JSON.stringify(value)}`);
        return [name, value];
      }),
    )
  );
  if (config.channels.length + config.hidden.length > MOST_LAYERS)
    throw new RangeError(`more than ${MOST_LAYERS} layers`);
  checkClassic(config);
  const layers = describeLayers(config);
  const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0);
  if (parameters > MOST_PARAMETERS) throw new RangeError(`${parameters} parameters; at most ${MOST_PARAMETERS}`);
  for (const { name, shape } of layers) {
    if (size(shape) > MOST_OUTPUTS) throw new RangeError(`${name}: ${size(shape)} outputs; at most ${MOST_OUTPUTS}`);
  }
  return config;
}

/** Throws RangeError where a part of 1998 does not fit. @param {Config} config */
function checkClassic({ wiring, channels, pooling, output, classes, hidden, margin, input_size }) {
  const copies = COPIES[wiring] ?? 1;
  if (wiring !== "full") {
    const inputs = (Math.max(...LINKS[wiring].flat()) + 1) / copies;
    if (channels[0] !== inputs || channels[1] !== LINKS[wiring].length) throw new RangeError(`wiring ${wiring}`);
    if (copies > 1 && pooling !== "sum") throw new RangeError(`wiring ${wiring} needs the pooling sum`);
  }
  if (output === "rbf" && (classes > 10 || hidden.at(-1) !== BITMAP_PIXELS)) throw new RangeError("output rbf");
  if (2 * margin >= input_size) throw new RangeError(`margin is ${margin}`);
}

/**
 * Every layer in order; the first is the prepared image. Throws RangeError naming a convolution without room.
 * @param {Config} config
 * @returns {Layer[]}
 */
export function describeLayers(config) {
  const activation = ACTIVATION_KINDS[config.activation];
  const slug = config.activation.replace("-", "_");
  let side = config.input_size;
  let inputs = 1;
  /** @type {Layer[]} */
  const layers = [{ name: "input", kind: "Input", shape: [1, side, side], parameters: 0 }];
  /** @type {(name: string, kind: string, shape: number[], parameters?: number) => unknown} */
  const add = (name, kind, shape, parameters = 0) => layers.push({ name, kind, shape, parameters });
  config.channels.forEach((outputs, index) => {
    const order = index + 1;
    const { padding, step } = describeSteps(config, `conv${order}`);
    const room = side + 2 * padding - config.kernel_size;
    if (room < 0) throw new RangeError(`conv${order}: the kernel does not fit on its input`);
    side = Math.floor(room / step) + 1;
    const strided = config.pooling === "stride";
    const kernels = countLinks(findLinks(config, `conv${order}`, inputs, outputs));
    const kind = index === 1 && config.wiring !== "full" ? "PartialConv2d" : "Conv2d";
    const parameters = kernels * config.kernel_size ** 2 + outputs * (strided ? side * side : 1);
    add(`conv${order}`, strided ? "StridedConv2d" : kind, [outputs, side, side], parameters);
    add(`${slug}${order}`, activation, [outputs, side, side]);
    inputs = outputs;
    if (side >= POOL && !strided) {
      side = Math.floor(side / POOL);
      if (index === 0) inputs *= COPIES[config.wiring] ?? 1;
      const trained = config.pooling === "sum";
      add(`pool${order}`, POOLING_KINDS[config.pooling], [inputs, side, side], trained ? 2 * inputs : 0);
      if (trained) add(`pool${order}_${slug}`, activation, [inputs, side, side]);
    }
  });
  let width = inputs * side * side;
  add("flatten", "Flatten", [width]);
  config.hidden.forEach((outputs, index) => {
    add(`dense${index + 1}`, "Linear", [outputs], outputs * (width + 1));
    add(`${slug}${config.channels.length + index + 1}`, activation, [outputs]);
    if (config.dropout) add(`dropout${index + 1}`, "Dropout", [outputs]);
    width = outputs;
  });
  if (config.output === "rbf") add("output", "RadialBasis", [config.classes]);
  else add("output", "Linear", [config.classes], config.classes * (width + 1));
  return layers;
}

/**
 * For each output map of a convolution, the input maps that it sees.
 * @param {Config} config @param {string} name @param {number} inputs @param {number} outputs
 * @returns {number[][]}
 */
export function findLinks({ wiring }, name, inputs, outputs) {
  if (name === "conv2" && wiring !== "full") return LINKS[wiring];
  return Array(outputs).fill([...Array(inputs).keys()]);
}

/**
 * How a convolution goes over its input: in which steps, and with how many pixels around it, of which value.
 * @param {Config} config @param {string} name
 */
export function describeSteps({ pooling, padding }, name) {
  if (pooling === "stride") return { padding, border: BORDER, step: POOL };
  return { padding: name === "conv1" ? padding : 0, border: 0, step: 1 };
}

/**
 * The shape of every tensor of a network, by its name.
 * @param {Config} config
 * @returns {Map<string, number[]>}
 */
export function describeTensors(config) {
  const shapes = new Map();
  let before = [1];
  for (const { name, kind, shape } of describeLayers(config)) {
    const kernel = [config.kernel_size, config.kernel_size];
    const links = [countLinks(findLinks(config, name, before[0], shape[0])), ...kernel];
    const weight = {
      Conv2d: [shape[0], before[0], ...kernel],
      PartialConv2d: links,
      StridedConv2d: links,
      Subsampling: [shape[0]],
      Linear: [shape[0], before[0]],
      RadialBasis: [shape[0], before[0]],
    }[kind];
    if (weight) {
      shapes.set(`${name}.weight`, weight);
      shapes.set(`${name}.bias`, kind === "StridedConv2d" ? shape : [shape[0]]);
    }
    if (kind === "RadialBasis") shapes.set(`${name}.scale`, [shape[0]]);
    before = shape;
  }
  return shapes;
}

/** The number of values of a shape. @param {number[]} shape */
export function size(shape) {
  return shape.reduce((product, side) => product * side, 1);
}
