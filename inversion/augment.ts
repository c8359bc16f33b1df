/**
 * @file Parameters of the random augmentations ("cutouts") of one step: matrices, factors, rectangles, noise. The images
 * themselves are warped by the alignment graph, which takes all of this as inputs. Distributions are kornia's
 * RandomAffine, RandomPerspective, ColorJitter and RandomErasing with the published code's arguments.
 */
import { copyWindow, type NoiseBank } from './noise-bank.ts';
import type { MethodOptions } from './options.ts';
import { between, integerBetween, type PhiloxKey, STREAMS, uniforms } from './random.ts';
import { affineMatrix, imageCorners, invert, type Matrix3, perspectiveMatrix } from './warp.ts';

/**
 * Inputs of the alignment graph for n cutouts of S x S pixels, float32 unless their type says otherwise. Stacked over L lanes the first
 * axes become L n (lane-major) and, for the two arrays that all cutouts of a lane share, L.
 */
export interface CutoutParameters {
  /** Source pixel to destination pixel, [n, 3, 3]; identity where the flag is 0. */
  readonly affine: Float32Array;
  /** Destination to source: inverse of the float32 matrix, not rounded, [n, 3, 3]. */
  readonly affineInverse: Float64Array;
  readonly perspective: Float32Array;
  readonly perspectiveInverse: Float64Array;
  /** 1 where the operation is applied, 0 where the cutout is left as it is, [n]. */
  readonly affineFlag: Float32Array;
  readonly perspectiveFlag: Float32Array;
  readonly jitterFlag: Float32Array;
  /** Brightness, contrast, saturation factors and hue shift in turns, [n, 4]. */
  readonly jitterFactors: Float32Array;
  /** A permutation of 0 brightness, 1 contrast, 2 saturation, 3 hue, [1, 4]. */
  readonly jitterOrder: Int32Array;
  /** Top, left, height, width in whole pixels; zeros when nothing is erased, [1, 4]. */
  readonly eraseRectangle: Float32Array;
  /** Factor of the first pixel noise, [n]. */
  readonly noiseFactor: Float32Array;
  /** Standard normal, [n, 3, S, S]. */
  readonly noise: Float32Array;
  readonly noise2: Float32Array;
}

/** Lanes' parameters one after the other. */
export function stackCutouts(lanes: readonly CutoutParameters[]): CutoutParameters {
  const floats = (field: FloatField): Float32Array => concatenate(lanes.map((lane) => lane[field]));
  const doubles = (field: DoubleField): Float64Array => concatenateDoubles(lanes.map((lane) => lane[field]));
  return {
    affine: floats('affine'),
    affineInverse: doubles('affineInverse'),
    perspective: floats('perspective'),
    perspectiveInverse: doubles('perspectiveInverse'),
    affineFlag: floats('affineFlag'),
    perspectiveFlag: floats('perspectiveFlag'),
    jitterFlag: floats('jitterFlag'),
    jitterFactors: floats('jitterFactors'),
    jitterOrder: Int32Array.from(lanes.flatMap((lane) => Array.from(lane.jitterOrder))),
    eraseRectangle: floats('eraseRectangle'),
    noiseFactor: floats('noiseFactor'),
    noise: floats('noise'),
    noise2: floats('noise2'),
  };
}

type DoubleField = 'affineInverse' | 'perspectiveInverse';
type FloatField = Exclude<keyof CutoutParameters, 'jitterOrder' | DoubleField>;

/** Float32 arrays one after the other. */
export function concatenate(arrays: readonly Float32Array[]): Float32Array {
  return joined(arrays, (length) => new Float32Array(length));
}

function concatenateDoubles(arrays: readonly Float64Array[]): Float64Array {
  return joined(arrays, (length) => new Float64Array(length));
}

function joined<A extends Float32Array | Float64Array>(arrays: readonly A[], create: (length: number) => A): A {
  if (arrays.length === 1) return arrays[0]!;
  const all = create(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}

/** The cutouts with the given indices, in that order; what all cutouts share stays. */
export function selectCutouts(from: CutoutParameters, indices: readonly number[]): CutoutParameters {
  const count = from.affineFlag.length;
  const pick = (values: Float32Array): Float32Array =>
    concatenate(indices.map((i) => values.subarray((i * values.length) / count, ((i + 1) * values.length) / count)));
  const matrices = (values: Float64Array): Float64Array =>
    concatenateDoubles(indices.map((i) => values.subarray(i * 9, (i + 1) * 9)));
  return {
    affine: pick(from.affine),
    affineInverse: matrices(from.affineInverse),
    perspective: pick(from.perspective),
    perspectiveInverse: matrices(from.perspectiveInverse),
    affineFlag: pick(from.affineFlag),
    perspectiveFlag: pick(from.perspectiveFlag),
    jitterFlag: pick(from.jitterFlag),
    jitterFactors: pick(from.jitterFactors),
    jitterOrder: from.jitterOrder,
    eraseRectangle: from.eraseRectangle,
    noiseFactor: pick(from.noiseFactor),
    noise: pick(from.noise),
    noise2: pick(from.noise2),
  };
}

/** Places of a cutout's uniforms in the augmentation stream: a file format, like the streams. */
const UNIFORMS_PER_CUTOUT = 20;
const PLACE = {
  angle: 0,
  shift: 1,
  perspectiveFlag: 4,
  corners: 5,
  jitterFlag: 13,
  jitter: 14,
  noiseFactor: 18,
} as const;

const IDENTITY = Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);

export interface CutoutDraw {
  readonly key: PhiloxKey;
  readonly step: number;
  readonly options: MethodOptions;
  /** S, pixels */
  readonly size: number;
  /** Its window is 3 S S. */
  readonly bank: NoiseBank;
}

/** The parameters of all cutouts of a step. */
export function drawCutouts(draw: CutoutDraw): CutoutParameters {
  const { key, step, options, size, bank } = draw;
  const n = options.cutouts;
  const u = uniforms({ key, stream: STREAMS.augmentation, step }, n * UNIFORMS_PER_CUTOUT);
  const windows = uniforms({ key, stream: STREAMS.pixelNoise, step }, n * 4);
  const drawn = emptyCutouts(n, size);
  for (let i = 0; i < n; i++) {
    const own = u.subarray(i * UNIFORMS_PER_CUTOUT, (i + 1) * UNIFORMS_PER_CUTOUT);
    putAffine(drawn, i, affineOf(own, options, size));
    putPerspective(drawn, i, perspectiveOf(own, options, size));
    putJitter(drawn, i, own, options);
    drawn.noiseFactor[i] = own[PLACE.noiseFactor]! * options.noiseFactor;
    const [place, sign, place2, sign2] = windows.subarray(i * 4, i * 4 + 4);
    copyWindow(bank, drawn.noise.subarray(i * bank.window, (i + 1) * bank.window), place!, sign!);
    copyWindow(bank, drawn.noise2.subarray(i * bank.window, (i + 1) * bank.window), place2!, sign2!);
  }
  drawn.jitterOrder.set(permutation(uniforms({ key, stream: STREAMS.jitterOrder, step }, 3)));
  drawn.eraseRectangle.set(eraseRectangle(uniforms({ key, stream: STREAMS.erasing, step }, 6), options, size));
  return drawn;
}

function emptyCutouts(n: number, size: number): CutoutParameters {
  const zeros = (...shape: number[]): Float32Array =>
    new Float32Array(shape.reduce((product, axis) => product * axis, n));
  return {
    affine: zeros(9),
    affineInverse: new Float64Array(n * 9),
    perspective: zeros(9),
    perspectiveInverse: new Float64Array(n * 9),
    affineFlag: zeros(),
    perspectiveFlag: zeros(),
    jitterFlag: zeros(),
    jitterFactors: zeros(4),
    jitterOrder: new Int32Array(4),
    eraseRectangle: new Float32Array(4),
    noiseFactor: zeros(),
    noise: zeros(3, size, size),
    noise2: zeros(3, size, size),
  };
}

function affineOf(u: Float64Array, options: MethodOptions, size: number): Matrix3 | undefined {
  if (options.affineDegrees === 0 && options.affineTranslation === 0) return undefined;
  const shift = options.affineTranslation * size;
  return affineMatrix({
    degrees: between(u[PLACE.angle]!, -options.affineDegrees, options.affineDegrees),
    translation: [between(u[PLACE.shift]!, -shift, shift), between(u[PLACE.shift + 1]!, -shift, shift)],
    center: [(size - 1) / 2, (size - 1) / 2],
  });
}

function perspectiveOf(u: Float64Array, options: MethodOptions, size: number): Matrix3 | undefined {
  if (u[PLACE.perspectiveFlag]! >= options.perspectiveProbability || options.perspectiveDistortion === 0)
    return undefined;
  return inwardPerspective(u.subarray(PLACE.corners, PLACE.corners + 8), options.perspectiveDistortion, size);
}

/** Corners moved towards the centre by `shares` (0..1, x then y of each corner) of distortion S / 2 pixels. */
function inwardPerspective(shares: ArrayLike<number>, distortion: number, size: number): Matrix3 {
  const start = imageCorners(size, size);
  const inwards = [1, 1, -1, 1, -1, -1, 1, -1];
  const end = start.map((place, i) => place + (inwards[i]! * shares[i]! * distortion * size) / 2);
  return perspectiveMatrix(start, end);
}

/** Both directions of the warp. The inverse is that of the rounded matrix, so that the two describe one warp. */
function putAffine(target: CutoutParameters, i: number, matrix: Matrix3 | undefined): void {
  const forward = Float32Array.from(matrix ?? IDENTITY);
  target.affine.set(forward, i * 9);
  target.affineInverse.set(invert(forward), i * 9);
  target.affineFlag[i] = matrix === undefined ? 0 : 1;
}

function putPerspective(target: CutoutParameters, i: number, matrix: Matrix3 | undefined): void {
  const forward = Float32Array.from(matrix ?? IDENTITY);
  target.perspective.set(forward, i * 9);
  target.perspectiveInverse.set(invert(forward), i * 9);
  target.perspectiveFlag[i] = matrix === undefined ? 0 : 1;
}

function putJitter(target: CutoutParameters, i: number, u: Float64Array, o: MethodOptions): void {
  target.jitterFlag[i] = u[PLACE.jitterFlag]! < o.jitterProbability ? 1 : 0;
  const ranges = [o.jitterBrightness, o.jitterContrast, o.jitterSaturation, o.jitterHue];
  ranges.forEach((range, j) => {
    const deviation = between(u[PLACE.jitter + j]!, -range, range);
    // Three multipliers about 1, and a shift about 0. A multiplier is at least 0: ranges end at 1.
    target.jitterFactors[i * 4 + j] = j < 3 ? 1 + deviation : deviation;
  });
}

/** Fisher-Yates of 0..3 from three uniforms. */
function permutation(u: Float64Array): number[] {
  const order = [0, 1, 2, 3];
  for (let i = 3; i > 0; i--) {
    const j = integerBetween(u[3 - i]!, 0, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/**
 * Top, left, height, width as kornia's RandomErasing draws them: a uniform area; an aspect uniform below 1 or uniform
 * above 1, with equal chances, if the range has both sides; whole sides within the image; a uniform place.
 */
function eraseRectangle(u: Float64Array, options: MethodOptions, size: number): [number, number, number, number] {
  const [flag, areaShare, side, aspectShare, x, y] = u as unknown as [number, number, number, number, number, number];
  if (flag >= options.eraseProbability) return [0, 0, 0, 0];
  const { eraseAspectMin: low, eraseAspectMax: high } = options;
  const hasBothSides = low < 1 && high > 1;
  const aspect = between(aspectShare, hasBothSides && side < 0.5 ? 1 : low, hasBothSides && side >= 0.5 ? 1 : high);
  const area = between(areaShare, options.eraseAreaMin, options.eraseAreaMax) * size * size;
  if (area === 0) return [0, 0, 0, 0];
  const height = wholeSide(Math.sqrt(area * aspect), size);
  const width = wholeSide(Math.sqrt(area / aspect), size);
  return [Math.floor(y * (size - height + 1)), Math.floor(x * (size - width + 1)), height, width];
}

function wholeSide(length: number, size: number): number {
  return Math.min(Math.max(Math.round(length), 1), size);
}

/** The warps at the ends of their parameter ranges: what a bound on the window of a warp's adjoint has to cover. */
export interface WarpExtremes {
  /** Rotations by -max, 0, max, and by 45 degrees where the range has it, with shifts at the corners of their range. */
  readonly affine: readonly Matrix3[];
  /** Every corner at both ends of both of its ranges. */
  readonly perspective: readonly Matrix3[];
}

export function warpExtremes(options: MethodOptions, size: number): WarpExtremes {
  const shift = options.affineTranslation * size;
  const angles = [-options.affineDegrees, 0, Math.min(45, options.affineDegrees), options.affineDegrees];
  const center = [(size - 1) / 2, (size - 1) / 2] as const;
  const affine = angles.flatMap((degrees) =>
    [-shift, 0, shift].flatMap((x) =>
      [-shift, 0, shift].map((y) => affineMatrix({ degrees, translation: [x, y], center })),
    ),
  );
  const perspective = Array.from({ length: 256 }, (_, bits) => {
    const shares = Array.from({ length: 8 }, (_unused, corner) => (bits >> corner) & 1);
    return inwardPerspective(shares, options.perspectiveDistortion, size);
  });
  return { affine, perspective };
}
