/**
 * @file Shape and type inference: operator -> rule. A rule sees the inputs' types and shapes and, where they are known,
 * the contents of constants and of shape vectors; it returns one entry per output.
 */
import { RefereeError } from '../../errors.ts';
import type { DType, Tensor } from './dtype.ts';
import type { AttributeReader, Value } from './graph.ts';
import { elementwiseRules } from './infer/elementwise.ts';
import { indexingRules } from './infer/indexing.ts';
import { movementRules } from './infer/movement.ts';
import { productRules } from './infer/products.ts';
import { reductionRules } from './infer/reduction.ts';
import { samplingRules } from './infer/sampling.ts';
import { shapeRules } from './infer/shape.ts';
import type { Dim, Shape } from './shapes.ts';

export interface InferContext {
  readonly op: string;
  /** Begins every message: node and operator. */
  readonly where: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: AttributeReader;
  /** Number of outputs asked for. */
  readonly outputs: number;
  /** Contents of a constant. */
  constant(value: Value): Tensor | undefined;
  /** Elements of an integer vector (or scalar) as numbers or symbols. */
  dims(value: Value): readonly Dim[] | undefined;
}

export interface Inferred {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Elements, where the output is an integer vector or scalar whose elements are known. */
  readonly dims?: readonly Dim[] | undefined;
}

export type InferRule = (context: InferContext) => readonly Inferred[];

const RULES: ReadonlyMap<string, InferRule> = new Map([
  ...Object.entries(elementwiseRules),
  ...Object.entries(indexingRules),
  ...Object.entries(movementRules),
  ...Object.entries(productRules),
  ...Object.entries(reductionRules),
  ...Object.entries(samplingRules),
  ...Object.entries(shapeRules),
]);

/** Operators that inference knows. */
export function knownOperators(): readonly string[] {
  return [...RULES.keys()];
}

/** Types and shapes of a node's outputs. An unknown operator or impossible inputs are an error that names the node. */
export function inferNode(context: InferContext): readonly Inferred[] {
  const rule = RULES.get(context.op);
  if (!rule) throw new RefereeError('InvalidModel', `${context.where}: operator ${context.op} is not supported`);
  return rule(context);
}
