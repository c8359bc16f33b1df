/**
 * @file What a rule of inference is: from the inputs' types and shapes, and what is known of their contents, to the outputs'.
 */
import type { DType, Tensor } from '../dtype.ts';
import type { AttributeReader, Value } from '../graph.ts';
import type { Dim, Shape } from '../shapes.ts';

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
