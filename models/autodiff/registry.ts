/**
 * @file The table of gradient rules: one entry per operator.
 */
import { activationRules } from './rules/activation.ts';
import { affineGridRules } from './rules/affine-grid.ts';
import { binaryRules } from './rules/binary.ts';
import { convolutionRules } from './rules/convolution.ts';
import { croppingRules } from './rules/cropping.ts';
import { einsumRules } from './rules/einsum.ts';
import { gridSampleRules } from './rules/grid-sample.ts';
import { gruRules } from './rules/gru.ts';
import { indexingRules } from './rules/indexing.ts';
import { localResponseRules } from './rules/local-response.ts';
import { lstmRules } from './rules/lstm.ts';
import { matMulRules } from './rules/matmul.ts';
import { movementRules } from './rules/movement.ts';
import { normalisationRules } from './rules/normalisation.ts';
import { poolingRules } from './rules/pooling.ts';
import { quantisationRules, REFUSED } from './rules/quantisation.ts';
import { reductionRules } from './rules/reduction.ts';
import { resizeRules } from './rules/resize.ts';
import { rnnRules } from './rules/rnn.ts';
import { softmaxRules } from './rules/softmax.ts';
import { spectralRules } from './rules/spectra.ts';
import { unaryRules } from './rules/unary.ts';
import type { Rule } from './rule.ts';

const RULES: ReadonlyMap<string, Rule> = new Map([
  ...Object.entries(activationRules),
  ...Object.entries(affineGridRules),
  ...Object.entries(binaryRules),
  ...Object.entries(convolutionRules),
  ...Object.entries(croppingRules),
  ...Object.entries(einsumRules),
  ...Object.entries(gridSampleRules),
  ...Object.entries(gruRules),
  ...Object.entries(indexingRules),
  ...Object.entries(localResponseRules),
  ...Object.entries(lstmRules),
  ...Object.entries(matMulRules),
  ...Object.entries(movementRules),
  ...Object.entries(normalisationRules),
  ...Object.entries(poolingRules),
  ...Object.entries(quantisationRules),
  ...Object.entries(reductionRules),
  ...Object.entries(resizeRules),
  ...Object.entries(rnnRules),
  ...Object.entries(softmaxRules),
  ...Object.entries(spectralRules),
  ...Object.entries(unaryRules),
]);

/** The rule of an operator of ONNX's own set, or undefined. */
export function ruleOf(op: string): Rule | undefined {
  return RULES.get(op);
}

/** Operators that have a rule, if only on demand (`QuantizeLinear`). */
export function differentiableOperators(): readonly string[] {
  return [...RULES.keys()].filter((name) => !REFUSED.includes(name));
}
