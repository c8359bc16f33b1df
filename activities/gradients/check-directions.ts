/**
 * @file One gradient after the other along random directions: by differences at the point, and where those are not certain
 * or do not agree, by its mean along a way.
 */
import { RefereeError } from '../../errors.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import type { Value } from '../../models/onnx/graph.ts';
import { formatShape } from '../../models/onnx/shapes.ts';
import type { Session } from '../../models/runtime/device.ts';
import { randomTensor } from './check-inputs.ts';
import type { Derivative } from './differences.ts';
import { byDifferences } from './differences.ts';
import type { GradientRuns } from './gradient-runs.ts';
import type { PathMean } from './path-mean.ts';
import { byPath } from './path-mean.ts';
import { dot, rootMeanSquare, roundingOfDot } from './reals.ts';

export interface CheckedDirection extends Derivative {
  readonly wrt: string;
  /** 1, 2 ... */
  readonly direction: number;
  /** Where differences at the point did not agree for certain: the mean along a way. */
  readonly path?: PathMean;
  /**
   * Of the path where there is one, else of the differences. `agrees`: off by no more than the tolerance, and certain to the
   * tolerance. `differs`: off by more than the tolerance and what is uncertain together. `unclear`: neither.
   */
  readonly verdict: 'agrees' | 'differs' | 'unclear';
}

export interface Checking {
  readonly model: Session;
  readonly wrt: readonly Value[];
  /** Inputs, and the weights of `wrt`. */
  readonly point: ReadonlyMap<string, Tensor>;
  /** Outputs of the written file. */
  readonly after: ReadonlyMap<string, Tensor>;
  readonly gradients: GradientRuns;
  readonly cotangents: ReadonlyMap<string, Tensor>;
  readonly seed: number;
  /** Relative to the usual size of a derivative. */
  readonly tolerance: number;
  readonly directions?: number;
}

const DEFAULT_DIRECTIONS = 2;
/** Random numbers of inputs and cotangents come first. */
const DIRECTIONS = 2_000_000;

export async function checkDirections(checking: Checking): Promise<CheckedDirection[]> {
  const { wrt, point, after, gradients, cotangents, seed, tolerance, directions = DEFAULT_DIRECTIONS } = checking;
  const leastNoise = leastNoiseOf(cotangents, after);
  const checked: CheckedDirection[] = [];
  for (const [at, name] of wrt.entries()) {
    const x = point.get(name.name)!;
    const gradient = after.get(`gradient.${name.name}`)!;
    if (gradient.data.length !== x.data.length) {
      const found = `${formatShape(gradient.shape)}, expected ${formatShape(x.shape)}`;
      throw new RefereeError('Internal', `gradient.${name.name} has the shape ${found}`);
    }
    const scale = rootMeanSquare(x) || 1;
    const value = (tensor: Tensor): Promise<number> => valueAt(checking, name.name, tensor);
    for (let direction = 1; direction <= directions; direction += 1) {
      const v = randomTensor(name.dtype, x.shape, seed, DIRECTIONS + at * 1000 + direction);
      const { usual, noise, ...differences } = await byDifferences({ x, v, gradient, scale, value, leastNoise });
      const found = { wrt: name.name, direction, ...differences };
      const verdict = verdictOf(differences, tolerance);
      const gradientAt = verdict === 'agrees' ? undefined : await gradients.along(name, { x, expected: gradient });
      if (!gradientAt) {
        checked.push({ ...found, verdict });
        continue;
      }
      const path = await byPath({ x, v, scale, sweep: { usual, noise }, tolerance, value, gradientAt });
      checked.push({ ...found, path, verdict: verdictOf(path, tolerance) });
    }
  }
  return checked;
}

/** The sum over outputs of sum(cotangent * output), with one input or weight moved. */
async function valueAt({ model, point, cotangents }: Checking, name: string, tensor: Tensor): Promise<number> {
  const outputs = await model.run(Object.fromEntries([...point, [name, tensor]]), [...cotangents.keys()]);
  return [...cotangents].reduce((sum, [output, cotangent]) => sum + dot(cotangent, outputs[output]!).value, 0);
}

/**
 * Of a value of the function, by the rounding of the outputs: twice that of their last operation, since the ones before it
 * round as well.
 */
function leastNoiseOf(cotangents: ReadonlyMap<string, Tensor>, outputs: ReadonlyMap<string, Tensor>): number {
  return 2 * Math.hypot(...[...cotangents].map(([name, cotangent]) => roundingOfDot(cotangent, outputs.get(name)!)));
}

function verdictOf(
  { error, uncertainty }: Pick<Derivative, 'error' | 'uncertainty'>,
  tolerance: number,
): CheckedDirection['verdict'] {
  if (error <= tolerance && uncertainty <= tolerance) return 'agrees';
  return error > tolerance + uncertainty ? 'differs' : 'unclear';
}
