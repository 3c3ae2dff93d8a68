// The exact Euclidean distance transform (Maurer, Qi and Raghavan 2003), in linear time.
// Where several pixels are nearest, the same one is chosen as by scipy.ndimage.distance_transform_edt.

const NONE = -1;

/**
 * The pixel nearest to each pixel among those where `mask` is `value`: flat indices (height, width); −1 without any.
 * @param {Uint8Array} mask @param {number} value @param {number} height @param {number} width
 */
export function findNearest(mask, value, height, width) {
  const nearest = new Int32Array(height * width);
  for (let place = 0; place < nearest.length; place++) nearest[place] = mask[place] === value ? place : NONE;
  const longest = Math.max(height, width);
  const line = { sites: new Int32Array(longest), along: new Int32Array(longest), aside: new Float64Array(longest) };
  for (let x = 0; x < width; x++) searchLine(nearest, line, x, width, height, width, false);
  for (let y = 0; y < height; y++) searchLine(nearest, line, y * width, 1, width, width, true);
  return nearest;
}

/**
 * Replace the sites along a row or a column, of which each belongs to one pixel, by the nearest of them all.
 * @param {Int32Array} nearest
 * @param {{sites: Int32Array, along: Int32Array, aside: Float64Array}} line room for one line: the sites whose cells
 *   it crosses, their place along it, and the square of their distance from it
 * @param {number} start @param {number} step @param {number} length of the line
 * @param {number} width @param {boolean} isRow
 */
function searchLine(nearest, { sites, along, aside }, start, step, length, width, isRow) {
  let last = NONE;
  for (let place = 0; place < length; place++) {
    const site = nearest[start + place * step];
    if (site === NONE) continue;
    const at = isRow ? site % width : Math.floor(site / width);
    const distance = isRow ? ((site - at - start) / width) ** 2 : 0;
    while (last >= 1 && isHidden(along[last - 1], aside[last - 1], along[last], aside[last], at, distance)) last--;
    last++;
    sites[last] = site;
    along[last] = at;
    aside[last] = distance;
  }
  if (last === NONE) return;
  for (let place = 0, cell = 0; place < length; place++) {
    let best = (along[cell] - place) ** 2 + aside[cell];
    while (cell < last) {
      const next = (along[cell + 1] - place) ** 2 + aside[cell + 1];
      if (best <= next) break;
      best = next;
      cell++;
    }
    nearest[start + place * step] = sites[cell];
  }
}

/**
 * Whether the cell of the middle one of three sites, ordered along a line, does not reach the line.
 * @param {number} first @param {number} firstAside @param {number} middle @param {number} middleAside
 * @param {number} third @param {number} thirdAside
 */
function isHidden(first, firstAside, middle, middleAside, third, thirdAside) {
  const before = middle - first;
  const after = third - middle;
  const both = before + after;
  return both * middleAside - after * firstAside - before * thirdAside - before * after * both > 0;
}
