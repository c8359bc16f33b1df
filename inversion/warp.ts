/**
 * @file Matrices of the cutouts' warps, in float64: source pixel (x, y) to destination pixel, centres at whole numbers,
 * y downwards. The conventions are kornia's `get_affine_matrix2d` and `get_perspective_transform`.
 */

/** 3x3, row-major. */
export type Matrix3 = Float64Array;

export interface AffineParameters {
  /** Positive turns the picture clockwise. */
  readonly degrees: number;
  /** Shift in pixels, (x, y). */
  readonly translation: readonly [number, number];
  readonly scale?: readonly [number, number];
  /** The fixed point of rotation and scaling, (x, y) in pixels; ((W - 1)/2, (H - 1)/2) for the image's centre. */
  readonly center: readonly [number, number];
}

/** p' = R S (p - c) + c + t with R = [[cos, -sin], [sin, cos]], S = diag(scale). */
export function affineMatrix({ degrees, translation, scale = [1, 1], center }: AffineParameters): Matrix3 {
  const radians = (degrees * Math.PI) / 180;
  const [sx, sy] = scale;
  const [cx, cy] = center;
  const a = Math.cos(radians) * sx;
  const b = -Math.sin(radians) * sy;
  const c = Math.sin(radians) * sx;
  const d = Math.cos(radians) * sy;
  const [tx, ty] = translation;
  return Float64Array.of(a, b, cx + tx - a * cx - b * cy, c, d, cy + ty - c * cx - d * cy, 0, 0, 1);
}

/** Four corners, x then y: [x0, y0, x1, y1, x2, y2, x3, y3]. */
export type Corners = ArrayLike<number>;

/** Corners of a W x H image, clockwise from the upper left. */
export function imageCorners(width: number, height: number): number[] {
  return [0, 0, width - 1, 0, width - 1, height - 1, 0, height - 1];
}

/**
 * The homography that maps four points to four others, last entry 1: the 8 equations
 * x h0 + y h1 + h2 - u x h6 - u y h7 = u, x h3 + y h4 + h5 - v x h6 - v y h7 = v.
 */
export function perspectiveMatrix(from: Corners, to: Corners): Matrix3 {
  const rows: number[][] = [];
  for (let i = 0; i < 8; i += 2) {
    const x = from[i]!;
    const y = from[i + 1]!;
    const u = to[i]!;
    const v = to[i + 1]!;
    rows.push([x, y, 1, 0, 0, 0, -u * x, -u * y, u]);
    rows.push([0, 0, 0, x, y, 1, -v * x, -v * y, v]);
  }
  return Float64Array.of(...solve(rows), 1);
}

/** Gaussian elimination with partial pivoting; each row is [coefficients..., right-hand side]. */
function solve(rows: number[][]): number[] {
  const n = rows.length;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++) {
      if (Math.abs(rows[r]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = r;
    }
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const top = rows[column]!;
    for (let r = column + 1; r < n; r++) {
      const row = rows[r]!;
      const factor = row[column]! / top[column]!;
      for (let c = column; c <= n; c++) row[c]! -= factor * top[c]!;
    }
  }
  const solution = new Array<number>(n).fill(0);
  for (let r = n - 1; r >= 0; r--) {
    const row = rows[r]!;
    let rest = row[n]!;
    for (let c = r + 1; c < n; c++) rest -= row[c]! * solution[c]!;
    solution[r] = rest / row[r]!;
  }
  return solution;
}

/** The inverse by cofactors, scaled so that the last entry is 1. Not defined for singular matrices. */
export function invert(m: ArrayLike<number>): Matrix3 {
  const [a, b, c, d, e, f, g, h, i] = Array.from(m) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const last = a * e - b * d;
  const cofactors = [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    last,
  ];
  return Float64Array.from(cofactors, (value) => value / last);
}
