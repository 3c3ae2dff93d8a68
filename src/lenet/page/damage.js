// Break the network on purpose: mute maps, zero biases, add noise, edit weights; and count what it still reads.

/** @typedef {{muted: string[], biases: boolean, weightNoise: number, imageNoise: number,
 *             edits: {[parameter: string]: {[index: number]: number}}}} Damage
 * `muted` holds "layer.map"; noise is in standard deviations of each layer's weights, and in full ink. */

/** @returns {Damage} */
export const noDamage = () => ({ muted: [], biases: false, weightNoise: 0, imageNoise: 0, edits: {} });

/** @param {Damage} damage */
export function isDamaged(damage) {
  return Boolean(
    damage.muted.length || damage.biases || damage.weightNoise || damage.imageNoise || Object.keys(damage.edits).length,
  );
}

/** Normal random numbers from a seed: the same address shows the same damage.
 * @param {number} seed
 */
export function makeNormal(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Give a network the parameters of its checkpoint, with the damage.
 * @param {any} network
 * @param {Damage} damage
 */
export function applyDamage(network, damage) {
  network.reset();
  network.muted.clear();
  if (damage.weightNoise) {
    const normal = makeNormal(1);
    for (const [name, values] of network.parameters) {
      if (!name.endsWith(".weight")) continue;
      const spread = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
      for (let i = 0; i < values.length; i++) values[i] += damage.weightNoise * spread * normal();
    }
  }
  if (damage.biases) for (const [name, values] of network.parameters) if (name.endsWith(".bias")) values.fill(0);
  for (const [name, edits] of Object.entries(damage.edits)) {
    const values = network.parameters.get(name);
    for (const [index, value] of Object.entries(edits)) if (values && Number(index) < values.length) values[index] = value;
  }
  for (const each of damage.muted) {
    const [layer, map] = each.split(".");
    const found = network.layers.find(({ name }) => name === layer);
    if (!found || Number(map) >= found.shape[0]) continue;
    if (!network.muted.has(layer)) network.muted.set(layer, new Set());
    network.muted.get(layer).add(Number(map));
  }
}

/** An image with noise, 0 to 255.
 * @param {Uint8Array} image
 * @param {number} amount standard deviation, 1 is full ink
 * @param {number} seed
 */
export function addNoise(image, amount, seed = 2) {
  if (!amount) return image;
  const normal = makeNormal(seed);
  return Uint8Array.from(image, (value) => Math.min(255, Math.max(0, Math.round(value + 255 * amount * normal()))));
}

/** Counts the right answers on the embedded images in the background; the latest call wins. */
export class Score {
  /** @param {{images: Uint8Array[], labels: number[], classes: string[]}} samples */
  constructor(samples) {
    this.samples = samples;
    this.turn = 0;
  }

  /** End a count that is under way: its answer is null. */
  stop() {
    this.turn++;
  }

  /** The number of right answers; null when another count began meanwhile.
   * @param {any} network
   * @param {number} imageNoise
   * @returns {Promise<number | null>}
   */
  async count(network, imageNoise = 0) {
    const turn = ++this.turn;
    let right = 0;
    let began = performance.now();
    for (let i = 0; i < this.samples.images.length; i++) {
      if (performance.now() - began > 8) {
        await new Promise((done) => setTimeout(done));
        if (turn !== this.turn) return null;
        began = performance.now();
      }
      const result = network.forward(addNoise(this.samples.images[i], imageNoise, 100 + i), 28, 28);
      const best = result.logits.indexOf(Math.max(...result.logits));
      if (best === this.samples.labels[i]) right++;
    }
    return right;
  }
}
