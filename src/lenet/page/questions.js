// Guided questions: each prepares the page, and its text says where to look. The words are in texts.json.

import { noDamage } from "lenet/damage.js";

const stroke = (...points) => ({ erase: false, points });

const FOUR = [stroke(167, 60, 134, 79, 100, 100, 100, 158, 122, 170, 192, 166), stroke(176, 56, 174, 140, 168, 236)];
const THREE = [
  stroke(88, 66, 128, 46, 172, 58, 184, 92, 164, 122, 126, 136, 168, 142, 194, 172, 188, 212, 150, 236, 106, 230, 84, 212),
];
const SEVEN = [stroke(82, 62, 194, 62, 168, 118, 140, 178, 122, 238)];
const ONE = [stroke(142, 44, 140, 140, 138, 238)];
const SCRIBBLE = [
  stroke(60, 60, 220, 200, 70, 210, 215, 70, 140, 50, 140, 230, 60, 140, 220, 140, 80, 90, 200, 230, 100, 240, 190, 50),
];
const EIGHT = [
  stroke(170, 76, 142, 50, 112, 62, 110, 94, 138, 126, 168, 154, 178, 196, 150, 232, 112, 222, 104, 186, 128, 148, 160, 118, 174, 90, 168, 74),
];

/** What each question changes of the state of the page.
 * @type {{[id: string]: (state: import("lenet/address.js").State) => Partial<import("lenet/address.js").State>}}
 */
export const QUESTIONS = {
  four: () => ({ drawing: draw(FOUR), pin: null }),
  map: () => ({ drawing: draw(SEVEN), pin: { layer: "conv1", index: (2 * 28 + 8) * 28 + 14 } }),
  pooling: () => ({ drawing: draw(ONE), pin: { layer: "pool1", index: (0 * 14 + 6) * 14 + 7 } }),
  centre: () => ({ drawing: draw(shift(shrink(THREE), -70, -70)), framing: false, pin: null }),
  doubt: () => ({ drawing: draw(SCRIBBLE), pin: null }),
  units: () => ({ drawing: draw(THREE), pin: { layer: "output", index: 3 } }),
  mute: () => ({ drawing: draw(EIGHT), pin: null, damage: { ...noDamage(), muted: ["pool1.0"] } }),
  sigmoid: () => ({ drawing: draw(THREE), pin: null, compare: "d2l" }),
};

const draw = (strokes) => ({ strokes, image: null });

const change = (strokes, how) =>
  strokes.map(({ erase, points }) => ({ erase, points: points.map((value, i) => how(value, i % 2)) }));

const shrink = (strokes) => change(strokes, (value) => Math.round(140 + (value - 140) / 2));

const shift = (strokes, x, y) => change(strokes, (value, axis) => value + (axis ? y : x));
