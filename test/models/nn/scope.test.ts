import { expect, test } from 'vitest';

import { Scope } from '../../../models/nn/scope.ts';
import type { WeightEntry, WeightSource } from '../../../models/nn/scope.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import type { DType } from '../../../models/onnx/dtype.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import * as op from '../../../models/onnx/ops.ts';
import { expectClose } from '../../support/close.ts';
import { runGraph } from '../../support/run-graph.ts';
import { weightsOf } from '../../support/weights.ts';

function sourceOf(entries: Readonly<Record<string, { dtype?: DType; shape: readonly number[] }>>): WeightSource {
  const tensors = Object.entries(entries).map(([name, { dtype = 'float32', shape }]): [string, WeightEntry] => [
    name,
    { dtype, shape, file: '/w.safetensors', offset: 0, length: 0 },
  ]);
  return { label: 'w.safetensors', tensors: new Map(tensors) };
}

test('children are paths', () => {
  const scope = new Scope(sourceOf({ 'a.b.0.weight': { shape: [2] } }));
  const child = scope.child('a').child('b.0');
  expect(child.has('weight')).toBe(true);
  expect(child.has('bias')).toBe(false);
  expect(child.shapeOf('weight')).toEqual([2]);
  expect(scope.contains('a.b')).toBe(true);
  expect(scope.contains('a.b.0.weight')).toBe(false);
  expect(scope.contains('a.')).toBe(false);
});

test('a missing tensor is named with its full name and the shape that was expected', () => {
  const scope = new Scope(sourceOf({ other: { shape: [1] } })).child('mid.conv');
  expect(() => scope.get(new GraphBuilder('g'), 'weight', [3, 4])).toThrow(
    expect.objectContaining({
      code: 'InvalidWeights',
      message: 'w.safetensors: tensor "mid.conv.weight" is missing, expected shape [3,4]',
    }),
  );
});

test('a tensor of another shape is named with both shapes', () => {
  const scope = new Scope(sourceOf({ weight: { shape: [4, 3] } }));
  expect(() => scope.get(new GraphBuilder('g'), 'weight', [3, 4])).toThrow(
    'w.safetensors: tensor "weight" has shape [4,3], expected [3,4]',
  );
});

test('rows of a weight are a range of its bytes', () => {
  const entry = { dtype: 'float16', shape: [6, 2], file: '/w.safetensors', offset: 100, length: 24 } as const;
  const scope = new Scope({ label: 'w', tensors: new Map([['weight', entry]]) });
  const b = new GraphBuilder('g');
  expect(scope.getRows(b, 'weight', [6, 2], { from: 2, count: 3 }).shape).toEqual([3, 2]);
  expect(b.build().initializers).toEqual([
    expect.objectContaining({ external: { file: '/w.safetensors', offset: 108, length: 12 } }),
  ]);
  expect(() => scope.getRows(b, 'weight', [5, 2], { from: 0, count: 1 })).toThrow('has shape [6,2], expected [5,2]');
});

test('integers are no weights', () => {
  const scope = new Scope(sourceOf({ weight: { dtype: 'int32', shape: [3] } }));
  expect(() => scope.get(new GraphBuilder('g'), 'weight', [3])).toThrow(
    'tensor "weight" is of type int32, expected a float type',
  );
});

test('axes of size 1 at the end may be left out, others not', () => {
  const scope = new Scope(sourceOf({ conv: { shape: [3, 4, 1, 1] }, front: { shape: [1, 3] } }));
  const b = new GraphBuilder('g');
  expect(scope.get(b, 'conv', [3, 4]).shape).toEqual([3, 4]);
  expect(() => scope.get(b, 'front', [3])).toThrow('has shape [1,3], expected [3]');
});

test('nodes are named after the place of their weights', () => {
  const scope = new Scope(sourceOf({ 'a.b.weight': { shape: [2] } }));
  const b = new GraphBuilder('g');
  scope.enter(b, 'a', (a) => a.enter(b, 'b', (w) => op.neg(b, w.get(b, 'weight', [2]))));
  expect(b.nodes.map((node) => node.name)).toEqual(['/a/b/Neg']);
  expect(b.nodes[0]?.inputs[0]?.name).toBe('a.b.weight');
});

test('two models with the same names stay apart in one graph', () => {
  const first = new Scope(sourceOf({ weight: { shape: [2] } }), { model: 'vae' });
  const second = new Scope(sourceOf({ weight: { shape: [3] } }), { model: 'unet' });
  const b = new GraphBuilder('g');
  expect(first.get(b, 'weight', [2]).name).toBe('vae/weight');
  expect(second.child('x').prefix).toBe('x.');
  expect(second.get(b, 'weight', [3]).name).toBe('unet/weight');
});

test('half precision becomes float32 once, however often it is asked for', async () => {
  // binary16: 1, -2, 0.5; bfloat16: 1, -2, 0.5.
  const source = await weightsOf({
    'x.half': { dtype: 'float16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 0x3800) },
    'x.brain': { dtype: 'bfloat16', shape: [3], data: Uint16Array.of(0x3f80, 0xc000, 0x3f00) },
  });
  const scope = new Scope(source);
  const b = new GraphBuilder('g');
  const i = b.input('i', 'int64', ['N']);
  const half = scope.child('x').get(b, 'half', [3]);
  expect(scope.child('x').get(b, 'half', [3])).toBe(half);
  b.output('half', op.gather(b, half, i));
  b.output('brain', op.gather(b, scope.child('x').get(b, 'brain', [3]), i));
  const outputs = await runGraph(b.build(), { i: int64([0, 1, 2]) });
  for (const name of ['half', 'brain']) expectClose(outputs[name], float32([1, -2, 0.5]), { rtol: 0, atol: 0 }, name);
});
