import { describe, expect, test } from 'vitest';

import { drawCutouts, stackCutouts, type CutoutParameters } from '../../../inversion/augment.ts';
import { noiseBank, type NoiseBank } from '../../../inversion/noise-bank.ts';
import { SHAPES_DEFAULTS } from '../../../inversion/options.ts';
import { philoxKey } from '../../../inversion/random.ts';
import {
  cutoutInputs,
  cutouts,
  type CutoutInputs,
  type CutoutOptions,
  type CutoutStages,
} from '../../../models/nn/cutouts.ts';
import type { PlaceType } from '../../../models/nn/homography.ts';
import { reachAt, windowFor, windowOfReach, type WarpWindows } from '../../../models/nn/warp-window.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import { float32 } from '../../../models/onnx/dtype.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import {
  asFloat32,
  augmentFixture,
  eachMatrix,
  expectAsStated,
  expectWithin,
  gradientOf,
  inverses,
  pseudorandom,
  rowsOf,
  squareMatrices,
} from '../../support/augment.ts';
import { readFixture, tensorOf, type Fixture } from '../../support/fixtures.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';

const CLIP = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
const STAGES = ['pooled', 'affine', 'perspective', 'jitter', 'erased', 'noisy', 'noisier'] as const;

interface Sizes {
  readonly n: number;
  readonly S: number;
  readonly height: number;
  readonly width: number;
  readonly places?: PlaceType;
}

/** All stages, the pixel values, and the gradient of the image for a cotangent of the pixel values. */
function stagesGraph(
  { n, S, height, width, places = 'float64' }: Sizes,
  options: Omit<CutoutOptions, 'mean' | 'std'>,
): Graph {
  const b = new GraphBuilder('cutouts');
  const image = b.input('image', 'float32', ['B', 3, height, width]);
  const made = cutouts(b, image, cutoutInputs(b, { n, S, places }), { ...CLIP, ...options });
  const cotangent = b.input('cotangent', 'float32', made.output.shape);
  for (const stage of STAGES) b.output(stage, made.stages[stage satisfies keyof CutoutStages]);
  b.output('pixel_values', made.output);
  const { output: value, adjoints } = made;
  b.output('gradient', gradientOf(b, { value, cotangent }, { wrt: image, adjoints }));
  return b.build();
}

type Named = Readonly<Record<keyof CutoutInputs, Tensor>>;

function feedsOf(named: Named): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(named).map(([field, tensor]) => [`cutouts.${field}`, tensor]));
}

/** Recorded choices of one step; `of` reads one of them. */
function recorded(of: (name: string) => Tensor, places: PlaceType): Named {
  const affine = squareMatrices(of('affine_matrix'));
  const perspective = of('perspective_matrix');
  const order = toNumbers(of('jitter_order'));
  const isErased = toNumbers(of('erase_flag'))[0] === 1;
  return {
    affine,
    affineInverse: inverses(affine, places),
    perspective,
    perspectiveInverse: inverses(perspective, places),
    affineFlag: asFloat32(of('affine_flag')),
    perspectiveFlag: asFloat32(of('perspective_flag')),
    jitterFlag: asFloat32(of('jitter_flag')),
    jitterFactors: of('jitter_factors'),
    jitterOrder: { dtype: 'int32', shape: [1, 4], data: Int32Array.from(order) },
    eraseRectangle: isErased ? asFloat32(of('erase_rectangle'), [1, 4]) : float32([0, 0, 0, 0], [1, 4]),
    noiseFactor: of('noise_factor'),
    noise: of('noise'),
    noise2: of('noise2'),
    noiseScale: float32([0.2]),
  };
}

/**
 * Of the largest value. Float32: ten times what torch in float32 loses in the same stages of `all-zeros`, 2.2e-6. Float64
 * places leave roundings of colours, a few units in the last place.
 */
const SHARE = { float32: 2e-5, float64: 1e-6 };

/** The smallest windows for these matrices: recordings have scales and distortions of their own. */
function windowsOf({ affine, perspective }: Named, size: number): WarpWindows {
  const pixels = Array.from({ length: size * size }, (_, at) => [at % size, Math.floor(at / size)] as const);
  const reach = (matrices: Tensor): number => Math.max(...eachMatrix(matrices).map((m) => reachAt(m, pixels)));
  return { affine: windowOfReach(reach(affine)), perspective: windowOfReach(reach(perspective)) };
}

describe.each([
  ['scatter', 'float64'],
  ['gather', 'float64'],
  ['scatter', 'float32'],
  ['gather', 'float32'],
] as const)('adjoints that %s, places in %s', (form, places) => {
  test.each(['all-zeros', 'all-border'].filter((name) => form === 'scatter' || name === 'all-zeros'))(
    'agree with kornia, every stage and the gradient: %s',
    async (name) => {
      const fixture = augmentFixture(name);
      const named = recorded((input) => tensorOf(fixture, `input.${input}`), places);
      const image = tensorOf(fixture, 'input.image');
      const [height, width] = image.shape.slice(2) as [number, number];
      const [n, , S] = named.noise.shape as [number, number, number];
      const graph = stagesGraph(
        { n, S, height, width, places },
        {
          adjoint: form === 'scatter' ? 'scatter' : { gather: windowsOf(named, S) },
          affinePadding: name === 'all-border' ? 'border' : 'zeros',
        },
      );
      const cotangent = tensorOf(fixture, 'cotangent.pixel_values');
      const result = await runGraph(graph, { image, cotangent, ...feedsOf(named) });
      for (const stage of STAGES) expectAsStated(name, `output.stage_${stage}`, result[stage]);
      expectAsStated(name, 'output.pixel_values', result['pixel_values']);
      expectAsStated(name, 'gradient.image', result['gradient']);
    },
  );

  test('agree with the first step of the recorded search', async () => {
    const fixture = readFixture('trajectory/reference-trajectory-0.safetensors');
    const named = recorded((input) => firstOf(fixture, `input.${input}`), places);
    const graph = stagesGraph(
      { n: 3, S: 28, height: 32, width: 32, places },
      { adjoint: form === 'scatter' ? 'scatter' : { gather: windowsOf(named, 28) } },
    );
    const step = (name: string): Tensor => tensorOf(fixture, `output.step0.${name}`);
    const feeds = { image: step('image'), cotangent: step('gradient_pixel_values'), ...feedsOf(named) };
    const result = await runGraph(graph, feeds);
    for (const stage of [...STAGES, 'pixel_values'] as const) {
      expectWithin(result[stage], step(stage), SHARE[places], stage);
    }
    expectWithin(result['gradient'], step('gradient_image'), SHARE[places], 'gradient');
  });
});

function firstOf(fixture: Fixture, name: string): Tensor {
  const first = rowsOf(tensorOf(fixture, name), 0, 1);
  return { ...first, shape: first.shape.slice(1) };
}

/** What a search draws for a lane in a step. */
function drawn(lane: number, { n, S, bank }: { n: number; S: number; bank: NoiseBank }): CutoutParameters {
  const options = { ...SHAPES_DEFAULTS, cutouts: n };
  return drawCutouts({ key: philoxKey(lane), step: 3 * lane, options, size: S, bank });
}

function named(parameters: CutoutParameters, { n, S, lanes }: { n: number; S: number; lanes: number }): Named {
  const all = n * lanes;
  const { jitterOrder, ...floats } = parameters;
  const tensor = (data: Float32Array, shape: number[]): Tensor => ({ dtype: 'float32', shape, data });
  const inverse = (data: Float64Array): Tensor => ({ dtype: 'float64', shape: [all, 3, 3], data });
  return {
    affine: tensor(floats.affine, [all, 3, 3]),
    affineInverse: inverse(floats.affineInverse),
    perspective: tensor(floats.perspective, [all, 3, 3]),
    perspectiveInverse: inverse(floats.perspectiveInverse),
    affineFlag: tensor(floats.affineFlag, [all]),
    perspectiveFlag: tensor(floats.perspectiveFlag, [all]),
    jitterFlag: tensor(floats.jitterFlag, [all]),
    jitterFactors: tensor(floats.jitterFactors, [all, 4]),
    jitterOrder: { dtype: 'int32', shape: [lanes, 4], data: jitterOrder },
    eraseRectangle: tensor(floats.eraseRectangle, [lanes, 4]),
    noiseFactor: tensor(floats.noiseFactor, [all]),
    noise: tensor(floats.noise, [all, 3, S, S]),
    noise2: tensor(floats.noise2, [all, 3, S, S]),
    noiseScale: float32(Array.from({ length: lanes }, () => 0.1)),
  };
}

test.each([
  { form: 'scatter', rows: 'all', height: 33, width: 47, S: 21, n: 3 },
  { form: 'gather', rows: 'all', height: 33, width: 47, S: 21, n: 3 },
  { form: 'gather', rows: 'all', height: 32, width: 32, S: 32, n: 1 },
  { form: 'scatter', rows: 'flagged', height: 33, width: 47, S: 21, n: 3 },
  { form: 'gather', rows: 'flagged', height: 33, width: 47, S: 21, n: 3 },
  { form: 'gather', rows: 'flagged', height: 32, width: 32, S: 32, n: 1 },
] as const)(
  'a lane has the same bytes alone, among 3 and among 8: %o',
  async ({ form, rows: of, height, width, S, n }) => {
    const ranges = { maxDegrees: SHAPES_DEFAULTS.affineDegrees, maxDistortion: SHAPES_DEFAULTS.perspectiveDistortion };
    const adjoint = form === 'scatter' ? 'scatter' : { gather: windowFor(ranges, S) };
    const graph = stagesGraph({ n, S, height, width }, { adjoint, rows: of });
    const image = float32(
      toNumbers(pseudorandom([8, 3, height, width], 1)).map((value) => (value + 1) / 2),
      [8, 3, height, width],
    );
    const cotangent = pseudorandom([8 * n, 3, S, S], 2);
    const bank = noiseBank(3 * S * S);
    const lanes = Array.from({ length: 8 }, (_, lane) => drawn(lane, { n, S, bank }));
    const run = (from: number, to: number): Promise<Record<string, Tensor>> =>
      runGraph(graph, {
        image: rowsOf(image, from, to),
        cotangent: rowsOf(cotangent, from * n, to * n),
        ...feedsOf(named(stackCutouts(lanes.slice(from, to)), { n, S, lanes: to - from })),
      });
    const [eight, three] = [await run(0, 8), await run(2, 5)];
    for (const lane of [2, 4]) {
      const alone = await run(lane, lane + 1);
      for (const name of ['pixel_values', 'gradient']) {
        const rows = name === 'gradient' ? 1 : n;
        expect(alone[name]).toEqual(rowsOf(three[name]!, (lane - 2) * rows, (lane - 1) * rows));
        expect(alone[name]).toEqual(rowsOf(eight[name]!, lane * rows, (lane + 1) * rows));
      }
    }
  },
);

test.each(['scatter', 'gather'] as const)('flagged cutouts alone give the bytes of all, %s', async (form) => {
  const [S, n, height, width] = [16, 3, 20, 24];
  const adjoint = form === 'scatter' ? form : { gather: windowFor({ maxDegrees: 15, maxDistortion: 0.2 }, S) };
  const [all, flagged] = (['all', 'flagged'] as const).map((rows) =>
    stagesGraph({ n, S, height, width }, { adjoint, rows }),
  ) as [Graph, Graph];
  const image = asFloat32(pseudorandom([1, 3, height, width], 1));
  const cotangent = pseudorandom([n, 3, S, S], 2);
  const parameters = named(drawn(5, { n, S, bank: noiseBank(3 * S * S) }), { n, S, lanes: 1 });
  for (const flags of [
    [0, 0, 0],
    [0, 1, 0],
    [1, 0, 1],
    [1, 1, 1],
  ]) {
    const feeds = {
      image,
      cotangent,
      ...feedsOf({ ...parameters, perspectiveFlag: float32(flags), jitterFlag: float32([flags[2]!, flags[0]!, 0]) }),
    };
    expect(await runGraph(flagged, feeds), `flags ${flags.join()}`).toEqual(await runGraph(all, feeds));
  }
});

test('the gradient is that of the function: central differences', async () => {
  const [S, n] = [16, 3];
  const adjoint = { gather: windowFor({ maxDegrees: 15, maxDistortion: 0.2 }, S) };
  const graph = stagesGraph({ n, S, height: S, width: S }, { adjoint });
  const parameters = feedsOf(named(drawn(5, { n, S, bank: noiseBank(3 * S * S) }), { n, S, lanes: 1 }));
  const image = toNumbers(pseudorandom([1, 3, S, S], 11)).map((value) => 0.5 + 0.3 * value);
  const direction = toNumbers(pseudorandom([1, 3, S, S], 12));
  const cotangent = pseudorandom([n, 3, S, S], 13);
  const weights = toNumbers(cotangent);
  const at = async (step: number): Promise<Record<string, Tensor>> => {
    const moved = image.map((value, i) => value + step * direction[i]!);
    return runGraph(graph, { image: float32(moved, [1, 3, S, S]), cotangent, ...parameters });
  };
  const dot = (tensor: Tensor, with_: readonly number[]): number =>
    toNumbers(tensor).reduce((sum, value, i) => sum + value * with_[i]!, 0);
  const step = 2 ** -13;
  const [ahead, behind, here] = [await at(step), await at(-step), await at(0)];
  const slope = (dot(ahead['pixel_values']!, weights) - dot(behind['pixel_values']!, weights)) / (2 * step);
  const expected = dot(here['gradient']!, direction);
  // Float32 values of up to 5, summed with random signs over 2304 pixels, by a step that is so small because of the
  // hue's kinks: pixels with two nearly equal channels.
  expect(Math.abs(slope - expected)).toBeLessThan(0.01 * Math.abs(expected) + 0.05);
});
