import { fileURLToPath } from 'node:url';

import { execa } from 'execa';
import { describe, expect, test, vi } from 'vitest';

import { openDevices } from '../../activities/devices.ts';
import { Engine } from '../../activities/engine.ts';
import { choosePlan } from '../../activities/memory-plan.ts';
import { SHAPES_DEFAULTS } from '../../inversion/options.ts';
import { GraphBuilder } from '../../models/onnx/builder.ts';
import * as op from '../../models/onnx/ops.ts';
import { estimateMemory, UNKNOWN } from '../../models/packs/memory.ts';
import { PackGraphs } from '../../models/packs/pack-graphs.ts';
import { openPack } from '../../models/packs/resolve.ts';
import { gpuOf } from '../../models/runtime/gpu.ts';
import { callAll, testLanes } from './support/lanes.ts';

vi.mock('../../models/runtime/gpu.ts', { spy: true });

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the estimate of memory', () => {
  // A run must not take more than was said before it; an estimate far above the truth would refuse what fits.
  test.each([
    [1, 1],
    [8, 1],
    [4, 2],
  ])('covers the peak of a process with %i lanes on %i devices, and not by much', async (lanes, devices) => {
    const { stdout } = await execa('tsx', ['bench/memory.ts', String(lanes), String(devices)], {
      cwd: root,
      preferLocal: true,
    });
    const { estimate, peak } = JSON.parse(stdout) as { estimate: number; peak: number };
    expect(peak).toBeLessThan(1.1 * estimate);
    expect(peak).toBeGreaterThan(0.6 * estimate);
  });

  test('grows with lanes, cutouts and devices', async () => {
    const pack = await openPack('shapes');
    const bytes = async (lanes: number, cutouts: number, devices: number): Promise<number> => {
      const all = new Array<never>(devices);
      const items = [{ options: { ...SHAPES_DEFAULTS, cutouts } }];
      return (await choosePlan(pack, { all, provider: 'cpu' }, { lanes, items })).bytes;
    };
    const base = await bytes(2, 3, 1);
    expect(await bytes(4, 3, 1)).toBeGreaterThan(base);
    expect(await bytes(2, 6, 1)).toBeGreaterThan(base);
    expect(await bytes(2, 3, 2)).toBeGreaterThan(base);
  });

  // The machine's memory holds this pack many times over.
  test.each([
    [2 ** 28, 'split'],
    [2 ** 34, 'fused'],
  ])('is held against the memory of a GPU where its driver tells: %i bytes, plan %s', async (memoryBytes, kind) => {
    vi.mocked(gpuOf).mockReturnValueOnce({ name: 'NVIDIA Some', memoryBytes });
    const items = [{ options: SHAPES_DEFAULTS }];
    const request = { all: new Array<never>(1), provider: 'cuda' } as const;
    const { plan } = await choosePlan(await openPack('shapes'), request, { lanes: 1, items });
    expect(plan.kind).toBe(kind);
  });

  test('counts sizes that only run time knows at their largest', () => {
    const b = new GraphBuilder('some');
    const x = b.input('x', 'float32', ['B', 100]);
    const rows = b.node('NonZero', [b.input('flag', 'bool', ['B'])])[0]!;
    b.output('y', op.neg(b, op.gather(b, x, op.squeeze(b, rows, [0]))));
    const bytes = (unknown: number): number => estimateMemory(b.build(), { B: 8, [UNKNOWN]: unknown }).activations;
    // The rows taken and their negatives are alive together.
    expect(bytes(8) - bytes(4)).toBeGreaterThanOrEqual(4 * 2 * 400);
  });

  test('builds no graph that the run builds once more', async () => {
    const [look, take] = [vi.spyOn(PackGraphs.prototype, 'look'), vi.spyOn(PackGraphs.prototype, 'take')];
    const pack = await openPack('shapes');
    await using devices = await openDevices({ provider: 'cpu', threads: 1 });
    const chosen = await choosePlan(pack, devices, { lanes: 2, items: [{ options: SHAPES_DEFAULTS }] });
    const { models } = await Engine.open(pack, devices.all, chosen);
    await callAll(models, (await testLanes(pack, models)).slice(0, 2));
    const [estimated, loaded] = [look, take].map(({ mock }) => mock.results.map(({ value }) => value as unknown));
    const kinds = take.mock.calls.map(([{ kind }]) => kind);
    vi.restoreAllMocks();
    expect(kinds.toSorted()).toEqual(['alignment', 'decode', 'encode-text', 'guidance', 'score']);
    // Texts are encoded without having been counted.
    kinds.forEach((kind, at) => expect(estimated?.includes(loaded![at]), kind).toBe(kind !== 'encode-text'));
  });
});
