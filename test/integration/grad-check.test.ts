/**
 * @file What `referee grad --check` says of functions with kinks: a right gradient agrees, a wrong one differs, also where
 * differences at a point tell neither.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, expect, test } from 'vitest';

import type { GradientCheckOptions, GradientCheckReport } from '../../activities/gradients/check-gradient.ts';
import { checkGradient } from '../../activities/gradients/check-gradient.ts';
import type { WrittenGradient } from '../../activities/gradients/write-gradient.ts';
import { writeGradient } from '../../activities/gradients/write-gradient.ts';
import { GraphBuilder } from '../../models/onnx/builder.ts';
import { float32 } from '../../models/onnx/dtype.ts';
import type { Graph, Node } from '../../models/onnx/graph.ts';
import * as op from '../../models/onnx/ops.ts';
import { writeModel } from '../../models/onnx/protobuf.ts';
import { fixturePath } from '../support/fixtures.ts';
import { temporaryFolder } from '../support/folder.ts';
import { referee } from './support/command.ts';

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
});

const DIRECTION = fixturePath('networks/pp-ocr-direction.onnx');

async function gradientOf(graph: Graph, wrt: readonly string[]): Promise<WrittenGradient> {
  const model = join(folder, 'model.onnx');
  await writeFile(model, writeModel(graph));
  return writeGradient({ model, of: ['y'], wrt, output: join(folder, 'g.onnx') });
}

/** The report of a file in which `change` has had its way. */
function checkChanged(
  written: WrittenGradient,
  change: (node: Node) => Node | readonly Node[],
  options: GradientCheckOptions = {},
): Promise<GradientCheckReport> {
  const nodes = written.result.nodes.flatMap(change);
  return checkGradient({ ...written, bytes: writeModel({ ...written.result, nodes }) }, options);
}

const verdicts = ({ directions }: GradientCheckReport): string[] => directions.map(({ verdict }) => verdict);
const SIZES = ['--dims', 'x.2=48', '--dims', 'x.3=192'];

test('a network of thousands of kinks agrees in the mean along a way, and the lines say how', async () => {
  const argv = ['grad', DIRECTION, '--output', join(folder, 'g.onnx'), '--check', ...SIZES];
  const { code, stdout } = await referee(argv);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /direction 1: .*, by differences .*; both sides are \S+ apart, of which rounding explains \S+\n {2}its mean along the way: .* points, certain to \S+\): off by \S+, agrees\n/,
  );
});

test('one wrong rule in it is found', async () => {
  const output = join(folder, 'g.onnx');
  const written = await writeGradient({ model: DIRECTION, wrt: ['x'], output });
  const dims = { 'x.2': 48, 'x.3': 192 };
  const name = written.result.nodes.find((node) => node.op === 'Less')!.name;
  // The slope of one hard activation of many, on the wrong side.
  const wrong = await checkChanged(written, (node) => (node.name === name ? { ...node, op: 'Greater' } : node), {
    dims,
  });
  expect(verdicts(wrong)).toEqual(['differs', 'differs']);
});

test('a point that lies on a kink in every element agrees along the way', async () => {
  const b = new GraphBuilder('kinks');
  const x = b.input('x', 'float32', ['N', 64]);
  b.output('y', op.relu(b, x));
  const written = await gradientOf(b.build(), ['x']);
  const zeros = { dims: { N: 3 }, fill: { x: 0 } };
  const report = await checkGradient(written, zeros);
  expect(verdicts(report)).toEqual(['agrees', 'agrees']);
  for (const { path, error, apart } of report.directions) {
    // Differences see the mean of both sides; the rule takes one.
    expect(error).toBeGreaterThan(0.1);
    expect(apart).toBeGreaterThan(0.1);
    expect(path!.error).toBeLessThan(1e-2);
  }
  const doubled = await checkChanged(
    written,
    (node) => (node.outputs[0]?.name === 'gradient.x' ? { ...node, op: 'Neg', inputs: node.inputs.slice(0, 1) } : node),
    zeros,
  );
  expect(verdicts(doubled)).toEqual(['differs', 'differs']);
});

test('weights are moved along a way as well; a wrong gradient by them is found', async () => {
  const b = new GraphBuilder('weights');
  const x = b.input('x', 'float32', ['N', 16]);
  const w = b.namedConstant('w', float32(new Float32Array(16 * 32), [16, 32]));
  const out = b.constant(
    float32(
      Float32Array.from({ length: 32 }, (_, at) => Math.sin(at + 1)),
      [32, 1],
    ),
  );
  // With weights of zero all of the layer lies on a kink.
  b.output('y', op.matMul(b, op.relu(b, op.matMul(b, x, w)), out));
  const written = await gradientOf(b.build(), ['w']);
  const right = await checkGradient(written, { dims: { N: 5 } });
  expect(verdicts(right)).toEqual(['agrees', 'agrees']);
  expect(right.directions.map(({ path }) => path !== undefined)).toEqual([true, true]);
  // On the kink the rule's gradient is zero, which no factor changes.
  const raised = (node: Node): Node | readonly Node[] => {
    const [gradient] = node.outputs;
    if (gradient?.name !== 'gradient.w') return node;
    const before = { ...gradient, name: 'before' };
    return [
      { ...node, outputs: [before] },
      { name: 'raised', op: 'Exp', domain: '', inputs: [before], outputs: [gradient], attributes: {} },
    ];
  };
  const wrong = await checkChanged(written, raised, { dims: { N: 5 } });
  expect(verdicts(wrong)).toEqual(['differs', 'differs']);
});

test('outputs that rounding holds in place are not taken for free of noise', async () => {
  const b = new GraphBuilder('held');
  const x = b.input('x', 'float32', ['N', 8]);
  // Steps of a float32 at 1 are 1.2e-7: moves of x change few elements, by one of them or not at all.
  b.output('y', op.addScalar(b, op.mulScalar(b, op.tanh(b, x), 3e-6), 1));
  const written = await gradientOf(b.build(), ['x']);
  const report = await checkGradient(written, { dims: { N: 2 }, directions: 10 });
  expect(verdicts(report)).not.toContain('differs');
});

test('a model that draws numbers is one line, as its runs differ by themselves', async () => {
  const b = new GraphBuilder('noisy');
  const x = b.input('x', 'float32', ['N', 8]);
  const [noise] = b.node('RandomNormalLike', [x]);
  b.output('y', op.add(b, op.tanh(b, x), noise!));
  const written = await gradientOf(b.build(), ['x']);
  await expect(checkGradient(written, { dims: { N: 2 } })).rejects.toThrow(
    /^node \S+ \(RandomNormalLike\) draws other numbers in every run: differences tell nothing, leave --check out$/,
  );
});
