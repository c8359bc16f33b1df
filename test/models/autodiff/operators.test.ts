/**
 * @file Values and gradients of every operator case against PyTorch's numbers, to about ten times the error of PyTorch's
 * own float32 program.
 */
import { writeFileSync } from 'node:fs';

import { afterAll, describe, expect, test } from 'vitest';

import { gradientGraph } from '../../../models/autodiff/gradient-graph.ts';
import { differentiableOperators } from '../../../models/autodiff/registry.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import type { Dim } from '../../../models/onnx/shapes.ts';
import { difference, expectClose } from '../../support/close.ts';
import { readFixture, tensorOf, tensorsBelow } from '../../support/fixtures.ts';
import { toNumbers } from '../../support/numbers.ts';
import { runGraph } from '../../support/run-graph.ts';
import type { Declared, OperatorCase } from './operator-cases.ts';
import { caseGraph, OPERATOR_CASES, SETTINGS } from './operator-cases.ts';

/** Ten times the error of the same program in PyTorch's float32; the sums are formed in another order. */
const FACTOR = 10;
/** Where that program made no error at all: a few units in the last place of the largest value. */
const FLOOR = 5e-7;

/** A symbol for every axis but those that say how: of kernels, indices and grids, and channels of normalisations. */
function openShape(operator: OperatorCase, shape: readonly number[], at: number): readonly Dim[] {
  const { name, dtype } = operator.inputs[at]!;
  const isKernel = operator.op.startsWith('Conv') && name === 'W';
  if (isKernel || dtype === 'int64' || name === 'grid') return shape;
  // Steps are written out, weights are known.
  if (['RNN', 'GRU', 'LSTM'].includes(operator.op)) {
    const batch = { X: 1, initial_h: 1, initial_c: 1, sequence_lens: 0 }[name];
    return shape.map((size, axis) => (axis === batch ? 'N' : size));
  }
  // The last window of a pool is known of known sizes, and a transformation says how many axes there are.
  if (operator.case.startsWith('ceil')) return shape.map((size, axis) => (axis < 2 ? `d${axis}` : size));
  if (name === 'theta') return ['N', ...shape.slice(1)];
  const hasChannels = /^(Group|Instance)Normalization$|^Conv$/.test(operator.op);
  // A squeezed axis and pieces of equal size are promises about sizes.
  if (operator.op === 'Squeeze' || operator.op === 'Split') return shape;
  return shape.map((size, axis) => (hasChannels && axis === Math.min(1, shape.length - 1) ? size : `d${at}x${axis}`));
}

const errors: { name: string; tensor: string; maxAbs: number; maxRel: number; times: number }[] = [];

function check(operator: OperatorCase, tensor: string, actual: Tensor | undefined, expected: Tensor): void {
  const scale = Math.max(...toNumbers(expected).map(Math.abs), 0);
  const stated = operator.float32_error[tensor]?.max_abs ?? 0;
  const atol = Math.max(FACTOR * stated, FLOOR * scale);
  const name = `${operator.op} ${operator.case}`;
  if (actual) {
    const { maxAbs, maxRel } = difference(actual, expected, { rtol: 0, atol });
    errors.push({ name, tensor, maxAbs, maxRel, times: maxAbs / stated });
  }
  expectClose(actual, expected, { rtol: 0, atol }, `${name}: ${tensor}`);
}

async function gradientsOf(operator: OperatorCase, declared?: Declared): Promise<Record<string, Tensor>> {
  const fixture = readFixture(`operators/${operator.file}`);
  const inputs = tensorsBelow(fixture, 'input.');
  const settings = Object.keys(inputs).filter((name) => SETTINGS.has(name));
  const constants = new Map(settings.map((name) => [name, toNumbers(inputs[name]!)]));
  const feeds = Object.fromEntries(Object.entries(inputs).filter(([name]) => !constants.has(name)));
  const forward = caseGraph(operator, { constants, ...(declared && { declared }) });
  const of = operator.gradients.length === 0 ? [] : forward.outputs.map((output) => output.name);
  const graph = gradientGraph(forward, { of, wrt: operator.gradients, straightThrough: true });
  for (const name of of) feeds[`cotangent.${name}`] = tensorOf(fixture, name.replace('output.', 'cotangent.'));
  return runGraph(graph, feeds);
}

const CASES = OPERATOR_CASES.map((operator) => [`${operator.op} ${operator.case}`, operator] as const);

describe('operators', () => {
  test.each(CASES)('%s has the values and gradients of PyTorch', async (_, operator) => {
    const fixture = readFixture(`operators/${operator.file}`);
    const results = await gradientsOf(operator);
    for (const { name } of operator.outputs)
      check(operator, `output.${name}`, results[`output.${name}`], tensorOf(fixture, `output.${name}`));
    for (const name of operator.gradients)
      check(operator, `gradient.${name}`, results[`gradient.${name}`], tensorOf(fixture, `gradient.${name}`));
  });

  test.each(CASES)('%s has the same gradients where sizes are known at run time only', async (_, operator) => {
    const fixture = readFixture(`operators/${operator.file}`);
    const results = await gradientsOf(operator, (shape, at) => openShape(operator, shape, at));
    for (const name of operator.gradients)
      check(operator, `gradient.${name}`, results[`gradient.${name}`], tensorOf(fixture, `gradient.${name}`));
  });

  test('covers all cases of the set', () => {
    expect(OPERATOR_CASES).toHaveLength(365);
  });

  test('every operator that has a rule is among them', () => {
    const covered = new Set(OPERATOR_CASES.map((operator) => operator.op));
    const missing = differentiableOperators().filter((name) => !covered.has(name));
    // Of the pairs, one case has both.
    expect(covered).toContain('QuantizePair');
    // Operators without a counterpart in PyTorch's tables: by differences, in `rules/`.
    const elsewhere = ['DFT', 'MaxUnpool', 'ReverseSequence', 'Unique'];
    expect(missing.sort()).toEqual(['DequantizeLinear', 'QuantizeLinear', ...elsewhere].sort());
  });

  afterAll(() => {
    const path = process.env['OPERATOR_ERRORS'];
    if (!path) return;
    errors.sort((a, z) => z.maxRel - a.maxRel);
    const rows = errors.map(
      (e) => `${e.maxRel.toExponential(2)} ${e.maxAbs.toExponential(2)} ${e.times.toFixed(1)} ${e.name} ${e.tensor}`,
    );
    writeFileSync(path, ['rel abs times-pytorch case tensor', ...rows, ''].join('\n'));
  });
});
