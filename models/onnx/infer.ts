/**
 * @file Shape and type inference: operator -> rule. A rule sees the inputs' types and shapes and, where they are known,
 * the contents of constants and of shape vectors; it returns one entry per output.
 */
import { RefereeError } from '../../errors.ts';
import { detectionRules } from './infer/detection.ts';
import { elementwiseRules } from './infer/elementwise.ts';
import { indexingRules } from './infer/indexing.ts';
import { movementRules } from './infer/movement.ts';
import { productRules } from './infer/products.ts';
import { quantisationRules } from './infer/quantisation.ts';
import { randomRules } from './infer/random.ts';
import { recurrentRules } from './infer/recurrent.ts';
import { reductionRules } from './infer/reduction.ts';
import { checkInferred } from './infer/result.ts';
import type { InferContext, Inferred, InferRule } from './infer/rule.ts';
import { samplingRules } from './infer/sampling.ts';
import { shapeRules } from './infer/shape.ts';
import { spectralRules } from './infer/spectra.ts';

const RULES: ReadonlyMap<string, InferRule> = new Map([
  ...Object.entries(detectionRules),
  ...Object.entries(elementwiseRules),
  ...Object.entries(indexingRules),
  ...Object.entries(movementRules),
  ...Object.entries(productRules),
  ...Object.entries(quantisationRules),
  ...Object.entries(randomRules),
  ...Object.entries(recurrentRules),
  ...Object.entries(reductionRules),
  ...Object.entries(samplingRules),
  ...Object.entries(shapeRules),
  ...Object.entries(spectralRules),
]);

/** Operators that inference knows. */
export function knownOperators(): readonly string[] {
  return [...RULES.keys()];
}

/** Types and shapes of a node's outputs. An unknown operator or impossible inputs are an error that names the node. */
export function inferNode(context: InferContext): readonly Inferred[] {
  const rule = RULES.get(context.op);
  if (!rule) throw new RefereeError('InvalidModel', `${context.where}: operator ${context.op} is not supported`);
  const inferred = rule(context);
  for (const { shape } of inferred) checkInferred(context, shape);
  return inferred;
}
