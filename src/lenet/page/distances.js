// The exact Euclidean distance transform (Maurer, Qi and Raghavan 2003), in linear time.
// Where several pixels are nearest, the same one is chosen as by scipy.ndimage.distance_transform_edt.

const NONE = -1;

/**
 * The pixel nearest to each pixel among those where `mask` is `value`: flat indices (height, width); −1 without any.
 * @param {Uint8Array} mask @param {number} value @param {number} height @param {number} width
 */
export function findNearest(mask, value, height, width) {
  const rows = findNearestRows(mask, value, height, width);
  const nearest = new Int32Array(height * width);
  // Of one row: the columns whose nearest pixels are nearest to a part of it, and the squares of their distances.
  const columns = new Int32Array(width);
  const aside = new Int32Array(width);
  for (let y = 0; y < height; y++) {
    const start = y * width;
    let last = NONE;
    for (let x = 0; x < width; x++) {
      if (rows[start + x] === NONE) continue;
      const distance = square(rows[start + x] - y);
      while (last >= 1 && isHidden(columns[last - 1], aside[last - 1], columns[last], aside[last], x, distance)) last--;
      last++;
      columns[last] = x;
      aside[last] = distance;
    }
    for (let x = 0, part = 0; x < width; x++) {
      if (last === NONE) {
        nearest[start + x] = NONE;
        continue;
      }
      let best = square(columns[part] - x) + aside[part];
      while (part < last) {
        const next = square(columns[part + 1] - x) + aside[part + 1];
        if (best <= next) break;
        best = next;
        part++;
      }
      nearest[start + x] = rows[start + columns[part]] * width + columns[part];
    }
  }
  return nearest;
}

/**
 * The row of the nearest such pixel in the same column, the upper one of two; −1 without any.
 * @param {Uint8Array} mask @param {number} value @param {number} height @param {number} width
 */
function findNearestRows(mask, value, height, width) {
  const rows = new Int32Array(height * width);
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place++) rows[place] = mask[place] === value ? y : y ? rows[place - width] : NONE;
  }
  for (let y = height - 2, place = (height - 1) * width - 1; y >= 0; y--) {
    for (let x = 0; x < width; x++, place--) {
      const [above, below] = [rows[place], rows[place + width]];
      if (below !== NONE && (above === NONE || below - y < y - above)) rows[place] = below;
    }
  }
  return rows;
}

/**
 * Whether the middle one of three columns is nowhere nearest along a row.
 * @param {number} first @param {number} firstAside @param {number} middle @param {number} middleAside
 * @param {number} third @param {number} thirdAside
 */
function isHidden(first, firstAside, middle, middleAside, third, thirdAside) {
  const before = middle - first;
  const after = third - middle;
  const both = before + after;
  return both * middleAside - after * firstAside - before * thirdAside - before * after * both > 0;
}

/** Faster than a power. @param {number} value */
function square(value) {
  return value * value;
}
