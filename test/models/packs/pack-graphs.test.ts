import { beforeAll, describe, expect, test } from 'vitest';

import type { AlignmentOptions } from '../../../models/packs/graphs.ts';
import { PackGraphs } from '../../../models/packs/pack-graphs.ts';
import type { PackParts } from '../../../models/packs/parts.ts';
import { openParts } from '../../../models/packs/parts.ts';
import { openPack } from '../../../models/packs/resolve.ts';

const options: AlignmentOptions = { cutouts: 1, hasContrast: false, adjoint: 'scatter', places: 'float64' };
let parts: PackParts;

beforeAll(async () => {
  parts = await openParts(await openPack('shapes'));
});

describe('graphs of a pack', () => {
  test('are built once for those who look and the one who takes', () => {
    const graphs = new PackGraphs(parts);
    const seen = graphs.look({ kind: 'decode' });
    expect(graphs.look({ kind: 'decode' })).toBe(seen);
    expect(graphs.take({ kind: 'decode' })).toBe(seen);
    expect(graphs.take({ kind: 'decode' })).not.toBe(seen);
  });

  test('are told apart by their options, in whatever order these are written', () => {
    const graphs = new PackGraphs(parts);
    const seen = graphs.look({ kind: 'referees', options });
    const { places, adjoint, hasContrast, cutouts } = options;
    expect(graphs.look({ kind: 'referees', options: { places, adjoint, hasContrast, cutouts } })).toBe(seen);
    expect(graphs.look({ kind: 'referees', options: { ...options, places: 'float32' } })).not.toBe(seen);
    expect(graphs.take({ kind: 'referees', options })).toBe(seen);
  });

  test('are forgotten by kind', () => {
    const graphs = new PackGraphs(parts);
    const [decode, vjp] = [graphs.look({ kind: 'decode' }), graphs.look({ kind: 'decode-vjp' })];
    graphs.forget('decode');
    expect(graphs.look({ kind: 'decode' })).not.toBe(decode);
    expect(graphs.look({ kind: 'decode-vjp' })).toBe(vjp);
  });
});
