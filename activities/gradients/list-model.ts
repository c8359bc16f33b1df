/**
 * @file What a model file offers to `grad`: inputs, outputs, and the nodes that have no gradient rule.
 */
import { isRefereeError } from '../../errors.ts';
import { missingRules } from '../../models/autodiff/missing-rules.ts';
import type { MissingRule } from '../../models/autodiff/missing-rules.ts';
import { NON_DIFFERENTIABLE } from '../../models/autodiff/non-differentiable.ts';
import { differentiableOperators } from '../../models/autodiff/registry.ts';
import { compositeOperators } from '../../models/onnx/composites.ts';
import type { DescribedValue, ModelDescription } from '../../models/onnx/describe-model.ts';
import { describeModel } from '../../models/onnx/describe-model.ts';
import type { Graph, Value } from '../../models/onnx/graph.ts';
import { isUnknown } from '../../models/onnx/shapes.ts';
import { openModelFile, readGraph } from './open-model.ts';

export interface ModelListing {
  readonly model: string;
  readonly producer: string;
  readonly opset: number;
  readonly inputs: readonly DescribedValue[];
  readonly outputs: readonly DescribedValue[];
  readonly initializers: readonly DescribedValue[];
  /** Operator -> how many nodes, most frequent first. */
  readonly operators: Readonly<Record<string, number>>;
  /** Nodes without a rule: between the inputs and outputs that are real numbers, or any, if the graph cannot be read. */
  readonly missing: readonly MissingRule[];
  /** Why the graph cannot be read; undefined if it can. */
  readonly problem: string | undefined;
}

export interface ListOptions {
  /** Sizes of open dimensions, by symbol or by input and axis. */
  readonly sizes?: Readonly<Record<string, number>>;
  readonly straightThrough?: boolean;
}

/** @throws RefereeError for a file that is missing or no ONNX file */
export async function listModel(
  model: string,
  { sizes, straightThrough = false }: ListOptions = {},
): Promise<ModelListing> {
  const file = await openModelFile(model);
  const said = describe(file.bytes, model);
  const { producer, opset } = said;
  const operators = countOperators(said);
  let graph: Graph;
  try {
    graph = await readGraph(file, sizes);
  } catch (error) {
    if (!isRefereeError(error)) throw error;
    const { inputs, outputs } = said;
    const missing = withoutRule(said);
    return { model, producer, opset, inputs, outputs, initializers: [], operators, missing, problem: error.message };
  }
  return {
    model,
    producer,
    opset,
    inputs: graph.inputs.map(described),
    outputs: graph.outputs.map(described),
    initializers: graph.initializers.map(({ value }) => described(value)),
    operators,
    missing: missingRules(graph, { straightThrough }),
    problem: undefined,
  };
}

function describe(bytes: Uint8Array, model: string): ModelDescription {
  try {
    return describeModel(bytes);
  } catch (error) {
    if (isRefereeError(error)) error.message = `${model}: ${error.message}`;
    throw error;
  }
}

function countOperators({ nodes }: ModelDescription): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { op, domain } of nodes) {
    const name = domain === '' ? op : `${domain}.${op}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
}

/** By operator alone. */
function withoutRule({ nodes }: ModelDescription): MissingRule[] {
  const known = new Set([...differentiableOperators(), ...NON_DIFFERENTIABLE.keys(), ...compositeOperators()]);
  return nodes
    .filter(({ op, domain }) => domain !== '' || !known.has(op))
    .map(({ name, op, domain }) => {
      const operator = domain === '' ? op : `${domain}.${op}`;
      return { node: name, operator, reason: `${operator} has no gradient rule` };
    });
}

function described({ name, dtype, shape }: Value): DescribedValue {
  return { name, dtype, shape: shape.map((dim) => (isUnknown(dim) ? '?' : dim)) };
}
