/**
 * @file The reference page of gradient rules as text, made from the tables that differentiation itself uses.
 */
import { NON_DIFFERENTIABLE } from '../models/autodiff/non-differentiable.ts';
import { differentiableOperators } from '../models/autodiff/registry.ts';
import { REFUSED } from '../models/autodiff/rules/quantisation.ts';
import { compositeOperators } from '../models/onnx/composites.ts';
import { NEWEST_OPSET, OLDEST_OPSET } from '../models/onnx/upgrade.ts';
import { MOST_STEPS } from '../models/autodiff/rules/recurrent.ts';

const RECURRENT =
  `at most ${MOST_STEPS} steps, a number that is known (\`--fix\`); sequence lengths, initial states, both directions, \`clip\`; ` +
  'activations Sigmoid, Tanh, Relu; `layout` 0';
const SHARED = 'equal extremes share the cotangent';

/** What a rule does not do, or does where derivatives do not exist. */
const NOTES: Readonly<Record<string, string>> = {
  AveragePool: 'with `ceil_mode` the spatial sizes must be known',
  ConvTranspose: 'with `output_shape` the spatial sizes must be known',
  DFT: 'real numbers from half of their frequencies: at most 65536 of them',
  Dropout: 'inference: the identity',
  GRU: `${RECURRENT}; both \`linear_before_reset\``,
  GlobalMaxPool: SHARED,
  LSTM: `${RECURRENT}; no peepholes, no \`input_forget\``,
  LpPool: 'with `ceil_mode` the spatial sizes must be known',
  Max: 'the first of equal inputs gets the cotangent',
  MaxPool: 'the first of equal elements gets the cotangent',
  Min: 'the first of equal inputs gets the cotangent',
  QuantizeLinear:
    'only with `--straight-through`: as if nothing were rounded, zero outside the range; scales per tensor or axis',
  RNN: RECURRENT,
  ReduceMax: SHARED,
  ReduceMin: SHARED,
  ReduceProd: 'right with zeros among the factors',
  Resize: 'no `tf_crop_and_resize`',
  ScatterElements: '`reduction` none or add',
  ScatterND: '`reduction` none or add',
};

/** `docs/reference/operators.md` */
export function operatorsPage(): string {
  const rules = [...differentiableOperators()].sort().map((name) => `| \`${name}\` | ${NOTES[name] ?? ''} |`);
  const reasons = [...new Set(NON_DIFFERENTIABLE.values())].map((reason) => {
    const names = [...NON_DIFFERENTIABLE].flatMap(([name, why]) => (why === reason ? [`\`${name}\``] : []));
    return `| ${reason} | ${names.join(', ')} |`;
  });
  return [
    '# Operators and their gradients',
    '',
    `Operators of ONNX that have a gradient rule, in operator sets ${OLDEST_OPSET} to ${NEWEST_OPSET}; older spellings are read as the newest (Upsample as Resize). Each is held against PyTorch and against central`,
    'differences by the tests. `referee grad <model> --list` says which nodes of a file stand in the way. This page is written by `tsx scripts/docs.ts`.',
    '',
    '| operator | limits and choices |',
    '| --- | --- |',
    ...rules,
    '',
    `Taken apart into these while a file is read: ${[...compositeOperators()]
      .sort()
      .map((name) => `\`${name}\``)
      .join(', ')}.`,
    '',
    'A gradient ends quietly, with zero, at operators whose derivative is zero or whose results are no real numbers:',
    '',
    '| why | operators |',
    '| --- | --- |',
    ...reasons,
    '',
    'Functions of a file are inlined; an `If` whose condition is known takes its branch. `Loop`, `Scan`, `SequenceMap` and conditions of run time are one error that names the node, and so is',
    `everything that is not listed here. ${REFUSED.map((name) => `\`${name}\``).join(', ')} compute with rounded numbers and are refused so, too.`,
    '',
  ].join('\n');
}
