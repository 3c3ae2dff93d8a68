// A LeNet that runs in the page: what leaves every layer, gradients, and the answer. As models/network.py.
import {
  measureDistances,
  measureDistancesBackward,
  spreadKernels,
  subsample,
  subsampleBackward,
} from "lenet/classic.js";
import { describeLayers, describeSteps, findLinks, size } from "lenet/config.js";
import { explainOutput, findReceptiveField } from "lenet/inspection.js";
import {
  ACTIVATIONS,
  convolve,
  convolveBackward,
  dense,
  denseBackward,
  pool,
  poolBackward,
  softmax,
} from "lenet/operations.js";
import { prepare, prepareBackward } from "lenet/preprocessing.js";
import { stride, strideBackward } from "lenet/strided.js";

/** @typedef {import("lenet/config.js").Layer} Layer */
/** @typedef {import("lenet/safetensors.js").Checkpoint} Checkpoint */

/**
 * What the network computes for one image.
 * @typedef {object} Result
 * @property {Map<string, Float32Array>} outputs what leaves each layer, by its name and in order
 * @property {Float32Array} logits
 * @property {Float32Array} probabilities of the classes; with a reject class they add up to less than 1
 * @property {number} reject the probability of the reject class; 0 without one
 * @property {Float32Array} pixels the image, 0..1, before it is prepared: (height, width)
 * @property {number} height
 * @property {number} width
 */

/**
 * What the reader says of one digit. `reason` is "" when the answer is accepted; "empty": the image is blank;
 * "no-digit": no class is likely at all; "reject-class": rather no digit than a digit.
 * @typedef {object} Decision
 * @property {string} text the name of the class; "" for "empty" and "no-digit"
 * @property {number} confidence 0..1
 * @property {{text: string, confidence: number} | null} runnerUp the second most probable class
 * @property {boolean} rejected
 * @property {"" | "empty" | "no-digit" | "reject-class"} reason
 */

const LEAST_PROBABILITY = 1e-9; // of a class that the reader considers
const WHITE = 255;

export class Network {
  /** @param {Checkpoint} checkpoint */
  constructor({ card, config, classes, tensors }) {
    this.card = card;
    this.config = config;
    this.classes = classes;
    /** In order; the first is the prepared image. */
    this.layers = describeLayers(config);
    this.initial = tensors;
    /** The weights and biases, which may be changed. @type {Map<string, Float32Array>} */
    this.parameters = new Map();
    /** The maps (or units) of each layer whose output is set to 0. @type {Map<string, Set<number>>} */
    this.muted = new Map();
    this.reset();
  }

  /** A network with the parameters of the checkpoint and no muted maps. */
  copyIntact() {
    const { card, config, classes, initial: tensors } = this;
    return new Network({ card, config, classes, tensors });
  }

  /** Give all parameters the values of the checkpoint again. Muted maps stay muted. */
  reset() {
    for (const [name, { data }] of this.initial) this.parameters.set(name, data.slice());
  }

  /**
   * Run the network on an image of bytes, light ink on black.
   * @param {Uint8Array} image (height, width) @param {number} height @param {number} width
   * @returns {Result}
   */
  forward(image, height, width) {
    if (image.length !== height * width) throw new RangeError(`${image.length} pixels for ${height}×${width}`);
    const pixels = new Float32Array(image).map((byte) => byte / WHITE);
    const outputs = new Map();
    let values = prepare(pixels, height, width, this.config);
    this.layers.forEach((layer, index) => {
      if (index > 0) values = this.#apply(layer, values, this.layers[index - 1].shape);
      this.#mute(layer, values);
      outputs.set(layer.name, values);
    });
    const all = softmax(this.config.reject_class ? Float32Array.of(...values, 0) : values);
    const classes = this.config.classes;
    return {
      outputs,
      logits: values,
      probabilities: all.slice(0, classes),
      reject: all[classes] ?? 0,
      pixels,
      height,
      width,
    };
  }

  /**
   * The gradient of a weighted sum of the logits by the pixels, 0..1, of the image that `result` belongs to.
   *
   * The parameters and the muted maps must be those with which `result` was computed.
   * @param {Result} result @param {ArrayLike<number>} weights one a logit
   * @returns {Float32Array} (height, width)
   */
  gradient(result, weights) {
    /** @type {Float32Array} */
    let gradient = Float32Array.from(weights);
    for (let index = this.layers.length - 1; index > 0; index--) {
      const before = this.layers[index - 1];
      this.#mute(this.layers[index], gradient);
      gradient = this.#applyBackward(this.layers[index], gradient, this.#output(result, before.name), before.shape);
    }
    this.#mute(this.layers[0], gradient);
    return prepareBackward(gradient, result.pixels, result.height, result.width, this.config);
  }

  /**
   * The answer for one digit, as the reader decides without a threshold (and without test-time augmentation).
   * @param {Result} result @returns {Decision}
   */
  decide({ pixels, probabilities }) {
    if (pixels.every((value) => value === 0)) {
      return { text: "", confidence: 0, runnerUp: null, rejected: true, reason: "empty" };
    }
    const order = [...probabilities.keys()].sort((one, other) => probabilities[other] - probabilities[one]);
    const [best, second] = order.map((index) => ({ text: this.classes[index], confidence: probabilities[index] }));
    if (!(best.confidence >= LEAST_PROBABILITY)) {
      return { text: "", confidence: 0, runnerUp: null, rejected: true, reason: "no-digit" };
    }
    const rejected = 1 - probabilities.reduce((sum, value) => sum + value, 0) > 0.5;
    return { ...best, runnerUp: second, rejected, reason: rejected ? "reject-class" : "" };
  }

  /**
   * The part of the prepared image that one output of a layer depends on; it may reach into the padding.
   * @param {string} layer @param {number} y @param {number} x
   */
  receptiveField(layer, y, x) {
    return findReceptiveField(this.config, this.layers, layer, y, x);
  }

  /**
   * How one number of a layer's output was computed.
   * @param {Result} result @param {string} layer @param {number} index in the flat output
   */
  arithmetic(result, layer, index) {
    return explainOutput(this, result, layer, index);
  }

  /** @param {Layer} layer @param {Float32Array} values @param {number[]} before the shape of `values` */
  #apply({ name, kind, shape }, values, before) {
    switch (kind) {
      case "Conv2d":
      case "PartialConv2d":
        return convolve(values, ...this.#kernels(name, shape, before), this.#sizes(name, shape, before));
      case "StridedConv2d":
        return stride(values, ...this.#kernels(name, shape, before), this.#sizes(name, shape, before));
      case "Subsampling":
        return subsample(values, ...this.#weights(name), before[0], before[1]);
      case "RadialBasis":
        return measureDistances(values, ...this.#weights(name), this.#scale(name));
      case "Linear":
        return dense(values, ...this.#weights(name));
      case "AvgPool2d":
      case "MaxPool2d":
        return pool(values, before[0], before[1], this.config.pooling);
      case "Flatten":
      case "Dropout": // sets nothing to 0 outside of training
        return values.slice();
      default:
        return values.map(ACTIVATIONS[kind][0]);
    }
  }

  /**
   * @param {Layer} layer @param {Float32Array} gradient @param {Float32Array} values
   * @param {number[]} before
   */
  #applyBackward({ name, kind, shape }, gradient, values, before) {
    switch (kind) {
      case "Conv2d":
      case "PartialConv2d":
        return convolveBackward(gradient, this.#kernels(name, shape, before)[0], this.#sizes(name, shape, before));
      case "StridedConv2d":
        return strideBackward(gradient, this.#kernels(name, shape, before)[0], this.#sizes(name, shape, before));
      case "Subsampling":
        return subsampleBackward(gradient, this.#weights(name)[0], before[0], before[1]);
      case "RadialBasis":
        return measureDistancesBackward(gradient, values, this.#weights(name)[0], this.#scale(name));
      case "Linear":
        return denseBackward(gradient, this.#weights(name)[0]);
      case "AvgPool2d":
      case "MaxPool2d":
        return poolBackward(gradient, values, before[0], before[1], this.config.pooling);
      case "Flatten":
      case "Dropout":
        return gradient;
      default:
        return gradient.map((value, place) => value * ACTIVATIONS[kind][1](values[place]));
    }
  }

  /**
   * Set the muted maps or units of a layer's output, or of the gradient by it, to 0.
   * @param {Layer} layer @param {Float32Array} values
   */
  #mute({ name, shape }, values) {
    const each = size(shape.slice(1));
    for (const map of this.muted.get(name) ?? []) values.fill(0, map * each, (map + 1) * each);
  }

  /** @param {string} name @returns {[Float32Array, Float32Array]} */
  #weights(name) {
    const [weight, bias] = [this.parameters.get(`${name}.weight`), this.parameters.get(`${name}.bias`)];
    if (!weight || !bias) throw new RangeError(`${name} has no parameters`);
    return [weight, bias];
  }

  /**
   * The weights of a convolution that sees all maps: those of a partial one with zeros between.
   * @param {string} name @param {number[]} shape @param {number[]} before @returns {[Float32Array, Float32Array]}
   */
  #kernels(name, [outputs], [inputs]) {
    const [weight, bias] = this.#weights(name);
    const { wiring, kernel_size: kernel } = this.config;
    if (wiring === "full") return [weight, bias];
    return [spreadKernels(weight, findLinks(this.config, name, inputs, outputs), inputs, kernel), bias];
  }

  /** @param {string} name */
  #scale(name) {
    return this.parameters.get(`${name}.scale`) ?? new Float32Array();
  }

  /** @param {string} name @param {number[]} shape @param {number[]} before */
  #sizes(name, [outputs], [inputs, side]) {
    const { padding, border } = describeSteps(this.config, name);
    return { inputs, outputs, side, kernel: this.config.kernel_size, padding, border };
  }

  /** @param {Result} result @param {string} name */
  #output({ outputs }, name) {
    const values = outputs.get(name);
    if (!values) throw new RangeError(`there is no layer ${name}`);
    return values;
  }
}
