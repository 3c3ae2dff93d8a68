// From the frames of a line network to a text: the best path, and how probable the text is. As
// reading/transcription.py, without constraints (connectionist temporal classification).
import { CLASSES } from "lenet/line.js";
import { softmax } from "lenet/operations.js";

const BLANK = CLASSES - 1;

/** A digit, and the frame where it is most probable. @typedef {{label: number, frame: number}} Named */

/** The probabilities of each frame, from its logits. @param {Float32Array} logits (frames, CLASSES) */
export function softmaxFrames(logits) {
  const result = new Float32Array(logits.length);
  for (let from = 0; from < logits.length; from += CLASSES) {
    result.set(softmax(logits.subarray(from, from + CLASSES)), from);
  }
  return result;
}

/**
 * The digits that the best class of each frame names: repeats are left out, then blanks.
 * @param {Float32Array} chances (frames, CLASSES) @returns {Named[]}
 */
export function findBestPath(chances) {
  /** @type {Named[]} */
  const path = [];
  for (let frame = 0; frame < chances.length / CLASSES; frame++) {
    const row = chances.subarray(frame * CLASSES, (frame + 1) * CLASSES);
    const label = row.indexOf(Math.max(...row));
    const last = path.at(-1);
    if (last?.label !== label) path.push({ label, frame });
    else if (row[label] > chances[last.frame * CLASSES + label]) last.frame = frame;
  }
  return path.filter(({ label }) => label !== BLANK);
}

/**
 * The probability of a text: the sum over all its alignments with the frames.
 * @param {Float32Array} chances (frames, CLASSES) @param {number[]} text
 */
export function measureText(chances, text) {
  const states = [BLANK, ...text.flatMap((label) => [label, BLANK])];
  let sums = states.map((_, state) => Number(state === 0)); // before the first frame
  for (let from = 0; from < chances.length; from += CLASSES) {
    sums = states.map((label, state) => {
      // Between different digits no blank is needed.
      const skips = state > 1 && label !== BLANK && label !== states[state - 2];
      return (sums[state] + (sums[state - 1] ?? 0) + (skips ? sums[state - 2] : 0)) * chances[from + label];
    });
  }
  return sums[sums.length - 1] + (sums[sums.length - 2] ?? 0);
}
