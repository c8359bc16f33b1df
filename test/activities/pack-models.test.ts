import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { COMMON_WINDOWS } from '../../activities/lane-adjoints.ts';
import { PackModels } from '../../activities/pack-models.ts';
import { noiseBank } from '../../inversion/noise-bank.ts';
import { philoxNoise } from '../../inversion/noise.ts';
import { SHAPES_DEFAULTS } from '../../inversion/options.ts';
import type { PackParts } from '../../models/packs/parts.ts';
import { openParts } from '../../models/packs/parts.ts';
import type { Pack } from '../../models/packs/resolve.ts';
import { openPack } from '../../models/packs/resolve.ts';
import { windowFor } from '../../models/nn/warp-window.ts';
import type { Device } from '../../models/runtime/device.ts';
import { openDevice } from '../../models/runtime/node-device.ts';
import type { TestLane } from './support/lanes.ts';
import { callAll, testLanes } from './support/lanes.ts';

/** Plans add up the same float32 numbers in another order. */
const RTOL_ORDER = 2e-5;
/** Places that are off by a few units in the last place of 64 pixels. */
const RTOL_PLACES = 1e-4;

let devices: Device[];
let pack: Pack;
let parts: PackParts;
let models: PackModels;
let lanes: TestLane[];

beforeAll(async () => {
  devices = [await openDevice({ provider: 'cpu', threads: 1 }), await openDevice({ provider: 'cpu', threads: 1 })];
  pack = await openPack('shapes');
  parts = await openParts(pack);
  models = new PackModels(parts, [devices[0]!]);
  lanes = await testLanes(pack, models);
});

afterAll(async () => {
  await Promise.all(devices.map((device) => device.close()));
});

const pick = (...at: number[]): TestLane[] => at.map((lane) => lanes[lane]!);

function relativeError(found: Float32Array, expected: Float32Array): number {
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...found.map((value, at) => Math.abs(value - expected[at]!))) / largest;
}

describe('a lane keeps its bytes', () => {
  test('among 1, 3 and 8 lanes, in any place', async () => {
    const alone = new Map<number, Record<string, Float32Array>>();
    for (const lane of lanes.keys()) alone.set(lane, await callAll(models, pick(lane), { itcWeight: 0.5 }));
    for (const group of [
      [5, 0, 2],
      [7, 6, 5, 4, 3, 2, 1, 0],
      [3, 3],
    ]) {
      const together = await callAll(models, pick(...group), { itcWeight: 0.5 });
      for (const [name, values] of Object.entries(together)) {
        group.forEach((lane, place) => {
          const own = alone.get(lane)![name]!;
          const found = values.slice(place * own.length, (place + 1) * own.length);
          expect(found, `${name} of lane ${lane} among ${group.join(', ')}`).toEqual(own);
        });
      }
    }
  });

  test('however lanes are divided among devices', async () => {
    const spread = new PackModels(parts, devices);
    const [one, two] = [await callAll(models, pick(0, 1, 2)), await callAll(spread, pick(0, 1, 2))];
    expect(two).toEqual(one);
  });
});

describe('a lane whose matrices stretch too far for small windows', () => {
  let far: TestLane;

  beforeAll(() => {
    const options = { ...SHAPES_DEFAULTS, perspectiveProbability: 1, perspectiveDistortion: 0.9 };
    const noise = philoxNoise(1, noiseBank(3 * models.cutoutSize ** 2));
    far = { ...lanes[1]!, cutouts: noise.cutouts(1, options, models.cutoutSize) };
  });

  test.each([{ kind: 'fused' }, { kind: 'split', cutouts: 2 }] as const)(
    'scatters, and leaves the bytes of those beside it: $kind',
    async (plan) => {
      const own = new PackModels(parts, [devices[0]!], { plan });
      const scattering = new PackModels(parts, [devices[0]!], { plan, adjoint: 'scatter' });
      const names = ['gradient', 'itm', 'itg', 'itc'];
      const together = await callAll(own, [lanes[0]!, far, lanes[2]!], { itcWeight: 0.5 });
      const [first, second, third] = [
        await callAll(own, pick(0), { itcWeight: 0.5 }),
        await callAll(scattering, [far], { itcWeight: 0.5 }),
        await callAll(own, pick(2), { itcWeight: 0.5 }),
      ];
      for (const name of names) {
        const alone = [first, second, third].flatMap((values) => [...values[name]!]);
        expect([...together[name]!], name).toEqual(alone);
      }
    },
  );

  test('would lose cotangents in them', async () => {
    const cut = new PackModels(parts, [devices[0]!], { adjoint: { gather: COMMON_WINDOWS } });
    const [expected, found] = [await callAll(models, [far]), await callAll(cut, [far])];
    expect(relativeError(found['gradient']!, expected['gradient']!)).toBeGreaterThan(10 * RTOL_ORDER);
  });
});

test('guidance alone asks for no arena; every other session has what the device was opened with', async () => {
  const load = vi.spyOn(devices[1]!, 'load');
  await callAll(new PackModels(parts, [devices[1]!]), pick(0));
  const asked = load.mock.calls.map(([, { name, memory }]) => [name, memory]);
  load.mockRestore();
  expect(asked).toContainEqual(['guidance', 'small']);
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.filter(([, memory]) => memory !== undefined)).toEqual([['guidance', 'small']]);
});

describe('plans and forms give the same numbers to rounding', () => {
  test.each([1, 2, 3])('split, %i cutouts at a time, as fused', async (cutouts) => {
    const split = new PackModels(parts, [devices[0]!], { plan: { kind: 'split', cutouts } });
    const [expected, found] = [await callAll(models, pick(0, 4)), await callAll(split, pick(0, 4))];
    for (const name of ['gradient', 'itm', 'itg']) {
      expect(relativeError(found[name]!, expected[name]!), name).toBeLessThan(RTOL_ORDER);
    }
  });

  test('gathering adjoint of the warps as scattering', async () => {
    const gather = windowFor({ maxDegrees: 15, maxDistortion: 0.2 }, models.cutoutSize);
    const gathering = new PackModels(parts, [devices[0]!], { adjoint: { gather } });
    const scattering = new PackModels(parts, [devices[0]!], { adjoint: 'scatter' });
    const [expected, found] = [await callAll(scattering, pick(1, 2)), await callAll(gathering, pick(1, 2))];
    expect(relativeError(found['gradient']!, expected['gradient']!)).toBeLessThan(RTOL_ORDER);
  });

  test('places in float32 as in float64', async () => {
    const rounded = new PackModels(parts, [devices[0]!], { places: 'float32' });
    const [expected, found] = [await callAll(models, pick(1, 2)), await callAll(rounded, pick(1, 2))];
    const error = relativeError(found['gradient']!, expected['gradient']!);
    expect(error).toBeLessThan(RTOL_PLACES);
    expect(error).toBeGreaterThan(0);
  });
});
