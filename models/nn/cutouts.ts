/**
 * @file The referee's views of an image ("cutouts"): pooled, turned and shifted, seen at an angle, jittered in colour,
 * erased in part, noisy, normalised; all differentiable in the image, and every random number an input of the graph.
 */
import type { GraphBuilder } from '../onnx/builder.ts';
import type { DType } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { dimProduct, dimQuotient, type Dim } from '../onnx/shapes.ts';
import { RefereeError } from '../../errors.ts';
import { colourJitter } from './colour-jitter.ts';
import { erase } from './erase.ts';
import { onFlaggedRows, type TakeRows } from './flagged-rows.ts';
import type { PlaceType } from './homography.ts';
import type { OwnAdjoint, WithAdjoints } from './own-adjoint.ts';
import { addNoise, normalise, type Normalisation } from './pixel-values.ts';
import { poolToSize } from './pool-to-size.ts';
import { repeatRows } from './repeat.ts';
import { warp } from './warp.ts';
import type { WarpWindows } from './warp-window.ts';

/** The inputs of the graph, each called `cutouts.<field>`; B lanes of n cutouts, lane-major, S x S pixels. */
export interface CutoutInputs {
  /** Source pixel to destination pixel, [B * n, 3, 3]; anything invertible where the flag is 0, such as the identity. */
  readonly affine: Value;
  /** Destination pixel to source pixel, [B * n, 3, 3], in the type of places. */
  readonly affineInverse: Value;
  readonly perspective: Value;
  readonly perspectiveInverse: Value;
  /** 0 leaves a cutout exactly as it is, [B * n]. */
  readonly affineFlag: Value;
  readonly perspectiveFlag: Value;
  readonly jitterFlag: Value;
  /** Brightness, contrast and saturation factors, hue shift in turns, [B * n, 4]. */
  readonly jitterFactors: Value;
  /** A permutation of 0 brightness, 1 contrast, 2 saturation, 3 hue, int32 [B, 4]. */
  readonly jitterOrder: Value;
  /** Top, left, height, width in whole pixels; zeros erase nothing, [B, 4]. */
  readonly eraseRectangle: Value;
  /** Factor of `noise`, [B * n]. */
  readonly noiseFactor: Value;
  /** [B * n, 3, S, S] */
  readonly noise: Value;
  readonly noise2: Value;
  /** Factor of `noise2`, [B]. */
  readonly noiseScale: Value;
}

export interface CutoutSizes {
  /** Cutouts per lane. */
  readonly n: number;
  /** Pixels on a side of a cutout. */
  readonly S: number;
  /** Name of the number of lanes, "B" by default. */
  readonly lanes?: Dim;
  /** Type of the inverse matrices and of all that follows from them up to the warps' weights; float64 by default. */
  readonly places?: PlaceType;
}

/** Declares the inputs. */
export function cutoutInputs(b: GraphBuilder, { n, S, lanes = 'B', places = 'float64' }: CutoutSizes): CutoutInputs {
  const all = dimProduct([lanes, n]);
  const input = (field: keyof CutoutInputs, shape: readonly Dim[], dtype: DType = 'float32'): Value =>
    b.input(`cutouts.${field}`, dtype, shape);
  return {
    affine: input('affine', [all, 3, 3]),
    affineInverse: input('affineInverse', [all, 3, 3], places),
    perspective: input('perspective', [all, 3, 3]),
    perspectiveInverse: input('perspectiveInverse', [all, 3, 3], places),
    affineFlag: input('affineFlag', [all]),
    perspectiveFlag: input('perspectiveFlag', [all]),
    jitterFlag: input('jitterFlag', [all]),
    jitterFactors: input('jitterFactors', [all, 4]),
    jitterOrder: input('jitterOrder', [lanes, 4], 'int32'),
    eraseRectangle: input('eraseRectangle', [lanes, 4]),
    noiseFactor: input('noiseFactor', [all]),
    noise: input('noise', [all, 3, S, S]),
    noise2: input('noise2', [all, 3, S, S]),
    noiseScale: input('noiseScale', [lanes]),
  };
}

export interface CutoutOptions extends Normalisation {
  /**
   * How the warps' cotangents flow back. `gather` collects them within windows (of `windowFor`, for the ranges that the
   * matrices are drawn from): no concurrent additions, and three to four times quicker on the CPU provider. `scatter`
   * adds them where they belong, by GridSample's own rule: for matrices of any range.
   */
  readonly adjoint: 'scatter' | { readonly gather: WarpWindows };
  /** What the affine warp finds outside the image: `zeros`; `border` with the scattering adjoint only. */
  readonly affinePadding?: 'zeros' | 'border';
  /**
   * Which cutouts the perspective and the jitter are computed for: `flagged` ones, a number that only run time knows, which
   * not every provider has kernels for; or `all`, of which the others are dropped. The same numbers; `all` by default.
   */
  readonly rows?: 'all' | 'flagged';
}

/** Every stage as [B * n, 3, S, S]. */
export interface CutoutStages {
  readonly pooled: Value;
  readonly affine: Value;
  readonly perspective: Value;
  readonly jitter: Value;
  readonly erased: Value;
  readonly noisy: Value;
  readonly noisier: Value;
}

export interface Cutouts extends WithAdjoints {
  /** The referee's pixel values, [B * n, 3, S, S]. */
  readonly output: Value;
  readonly stages: CutoutStages;
}

/** image [B, 3, H, W] in 0..1 with known H and W; S and n are those of `inputs`. */
export function cutouts(b: GraphBuilder, image: Value, inputs: CutoutInputs, options: CutoutOptions): Cutouts {
  const [lanes] = image.shape as [Dim];
  const [all, , size] = inputs.noise.shape as [Dim, number, number];
  const n = cutoutsPerLane(all, lanes);
  const { adjoint, affinePadding = 'zeros', rows = 'all' } = options;
  const windows = adjoint === 'scatter' ? undefined : adjoint.gather;
  const adjoints: OwnAdjoint[] = [];
  const stage = (name: string, append: () => WithAdjoints): Value =>
    b.scope(name, () => {
      const made = append();
      adjoints.push(...made.adjoints);
      return made.output;
    });
  const plain = (name: string, append: () => Value): Value => stage(name, () => ({ output: append(), adjoints: [] }));

  const whereFlagged = (x: Value, flag: Value, append: (part: Value, take: TakeRows) => WithAdjoints): WithAdjoints =>
    rows === 'flagged' ? onFlaggedRows(b, x, flag, append) : append(x, (value) => value);

  const small = stage('pool', () => poolToSize(b, image, size));
  const pooled = stage('repeat', () => repeatRows(b, small, n));
  const affine = stage('affine', () =>
    warp(
      b,
      pooled,
      { forward: inputs.affine, inverse: inputs.affineInverse, flag: inputs.affineFlag },
      { kind: 'affine', paddingMode: affinePadding, ...(windows && { window: windows.affine }) },
    ),
  );
  const perspective = stage('perspective', () =>
    whereFlagged(affine, inputs.perspectiveFlag, (x, take) =>
      warp(
        b,
        x,
        {
          forward: take(inputs.perspective),
          inverse: take(inputs.perspectiveInverse),
          flag: take(inputs.perspectiveFlag),
        },
        { kind: 'perspective', ...(windows && { window: windows.perspective }) },
      ),
    ),
  );
  const jitter = stage('jitter', () =>
    whereFlagged(perspective, inputs.jitterFlag, (x, take) =>
      colourJitter(b, x, { factors: inputs.jitterFactors, order: inputs.jitterOrder, flag: inputs.jitterFlag }, take),
    ),
  );
  // What a lane's cutouts share is applied to all their channels at once.
  const perLane = (x: Value): Value => op.reshape(b, x, [lanes, 3 * n, size, size]);
  const perCutout = (x: Value): Value => op.reshape(b, x, [all, 3, size, size]);
  const erased = plain('erase', () => perCutout(erase(b, perLane(jitter), inputs.eraseRectangle)));
  const noisy = plain('noise', () => addNoise(b, erased, { factor: inputs.noiseFactor, noise: inputs.noise }));
  const noisier = plain('noise2', () =>
    perCutout(addNoise(b, perLane(noisy), { factor: inputs.noiseScale, noise: perLane(inputs.noise2) })),
  );
  const output = plain('normalise', () => normalise(b, noisier, options));
  return { output, stages: { pooled, affine, perspective, jitter, erased, noisy, noisier }, adjoints };
}

/** n with B * n = all, in symbols. */
function cutoutsPerLane(all: Dim, lanes: Dim): number {
  const n = dimQuotient(all, lanes);
  if (typeof n !== 'number') {
    throw new RefereeError(
      'InvalidModel',
      `cutouts: ${all} cutouts of ${lanes} lanes, expected a known number per lane`,
    );
  }
  return n;
}
