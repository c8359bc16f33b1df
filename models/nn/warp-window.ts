/**
 * @file How many destination pixels a source pixel can reach through a bilinear warp: the side of the window in
 * warp-adjoint.ts, for one matrix and for the ranges that matrices are drawn from.
 *
 * Destination q takes part of source p only if s(q) = p + d with |dx|, |dy| < 1, that is q = A(p + d). Call the largest
 * |A(p + d) - A p| along an axis, over all pixels and all such d, the reach r. The window holds the `window` whole
 * numbers that follow A p - window/2, so it holds all whole numbers of the open interval A p -+ window/2: no weight is
 * lost if window >= 2 r.
 *
 * A turn by t with scale c: r = c (|cos t| + |sin t|), at most c sqrt(2). 2 r is 2.74 at 30 degrees: a window of 3.
 *
 * A homography with denominator w(p) moves p + d by (w(p) / w(p + d)) J(p) d, J being its Jacobian, and its coordinates
 * are quasilinear in d, so the corners of the square of d decide. Where the quadrilateral's corners e_i, seen from
 * corner 0 of the unit square, are given, J(e_0) has the columns (w_1 / w_0)(e_1 - e_0) and (w_3 / w_0)(e_3 - e_0), and
 * w_i / w_j is a ratio of areas of triangles of three corners: linear-fractional in every single coordinate. The picture
 * is stretched most at the corner that stays while the others come in as far as they may. So the ends of the ranges at
 * the corners of the image are evaluated, and what pixels within the image or corners within their ranges could add is
 * covered by a margin; the tests search there for more and find less than the margin.
 */
import { RefereeError } from '../../errors.ts';

/** Row-major 3 x 3. */
type Matrix = ArrayLike<number>;

/** Ranges from which the matrices of both warps are drawn. */
export interface WarpRanges {
  /** Rotations from -maxDegrees to maxDegrees; 0 and up. */
  readonly maxDegrees: number;
  /** Largest scale of the affine warp; 1 by default. */
  readonly maxScale?: number;
  /** Corners move inwards by up to maxDistortion/2 of the size; from 0 to below 1. */
  readonly maxDistortion: number;
}

export interface WarpWindows {
  readonly affine: number;
  readonly perspective: number;
}

/** Beyond this the gather costs more than it is worth: w * w taps per pixel. */
export const LARGEST_WINDOW = 8;

/** Part of the reach: rounding of positions in float32, and maxima between the evaluated ends of the ranges. */
const MARGIN = 0.01;

/**
 * The smallest windows that lose no weight for any matrix of the ranges, for images of size x size pixels.
 *
 * @throws RefereeError `InvalidOption` for ranges that are none, or that need more than `LARGEST_WINDOW`
 */
export function windowFor({ maxDegrees, maxScale = 1, maxDistortion }: WarpRanges, size: number): WarpWindows {
  if (!(maxDegrees >= 0 && maxScale > 0 && maxDistortion >= 0 && maxDistortion < 1)) {
    const found = `rotation ${maxDegrees}, scale ${maxScale}, distortion ${maxDistortion}`;
    throw new RefereeError(
      'InvalidOption',
      `ranges of the warps: found ${found}, expected a rotation from 0, a scale above 0, a distortion from 0 to below 1`,
    );
  }
  const turn = (Math.min(maxDegrees, 45) * Math.PI) / 180;
  return {
    affine: windowOfReach(maxScale * (Math.cos(turn) + Math.sin(turn))),
    perspective: windowOfReach(perspectiveReach(maxDistortion, size)),
  };
}

/** The smallest window for this reach. */
export function windowOfReach(reach: number): number {
  const window = Math.ceil(2 * reach * (1 + MARGIN));
  if (!(window <= LARGEST_WINDOW)) {
    throw new RefereeError(
      'InvalidOption',
      `a warp stretches a pixel over ${window} pixels, expected at most ${LARGEST_WINDOW} for the gathering adjoint`,
      { hint: 'smaller ranges of scale or distortion, or the scattering adjoint' },
    );
  }
  return window;
}

/**
 * Whether a window loses no weight of one matrix, for images of size x size pixels: an affine matrix reaches equally far
 * everywhere, of a homography the corners of the image decide but for the margin.
 */
export function holdsWeights(window: number, matrix: Matrix, size: number): boolean {
  return 2 * reachAt(matrix, imageCorners(size)) * (1 + MARGIN) <= window;
}

/** The reach of one matrix: over the pixels (x, y) given, all four corners of the square of d. */
export function reachAt(matrix: Matrix, pixels: Iterable<readonly [number, number]>): number {
  let reach = 0;
  for (const [x, y] of pixels) {
    const [u, v] = project(matrix, x, y);
    for (const [dx, dy] of [
      [-1, -1],
      [1, -1],
      [-1, 1],
      [1, 1],
    ] as const) {
      const [u2, v2] = project(matrix, x + dx, y + dy);
      reach = Math.max(reach, Math.abs(u2 - u), Math.abs(v2 - v));
    }
  }
  return reach;
}

function project(m: Matrix, x: number, y: number): [number, number] {
  const w = m[6]! * x + m[7]! * y + m[8]!;
  // At the horizon and beyond it pixels reach everywhere.
  if (!(w > 0)) return [Infinity, Infinity];
  return [(m[0]! * x + m[1]! * y + m[2]!) / w, (m[3]! * x + m[4]! * y + m[5]!) / w];
}

/** The largest reach at the corners of the image, every corner at both ends of both of its ranges. */
function perspectiveReach(distortion: number, size: number): number {
  const last = size - 1;
  const inwards = (distortion * size) / 2;
  const corners = imageCorners(size);
  let reach = 1;
  for (let ends = 0; ends < 256; ends += 1) {
    const moved = corners.map(([x, y], i): [number, number] => [
      x + (ends & (1 << (2 * i)) ? (x === 0 ? inwards : -inwards) : 0),
      y + (ends & (2 << (2 * i)) ? (y === 0 ? inwards : -inwards) : 0),
    ]);
    reach = Math.max(reach, reachAt(squareToQuadrilateral(moved, last), corners));
  }
  return reach;
}

function imageCorners(size: number): readonly (readonly [number, number])[] {
  const last = size - 1;
  return [
    [0, 0],
    [last, 0],
    [last, last],
    [0, last],
  ];
}

/** The homography that sends (0, 0), (side, 0), (side, side), (0, side) to four points. */
function squareToQuadrilateral(points: readonly (readonly [number, number])[], side: number): number[] {
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = points as [[number, number], ...[number, number][]] as [
    [number, number],
    [number, number],
    [number, number],
    [number, number],
  ];
  const [sx, sy] = [x0 - x1 + x2 - x3, y0 - y1 + y2 - y3];
  const [ax, ay] = [x1 - x2, y1 - y2];
  const [bx, by] = [x3 - x2, y3 - y2];
  const area = ax * by - bx * ay;
  const g = (sx * by - bx * sy) / area;
  const h = (ax * sy - sx * ay) / area;
  const unit = [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
  return unit.map((value, at) => (at % 3 === 2 ? value : value / side));
}
