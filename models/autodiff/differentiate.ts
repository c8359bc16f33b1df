/**
 * @file Reverse mode: walks the nodes of a graph backwards, asks each operator's rule for the cotangents of its inputs, and
 * adds up what several readers of one value contribute. Everything is appended to the same graph, so what the forward pass
 * has computed is shared.
 */
import { RefereeError, isRefereeError } from '../../errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { isFloat } from '../onnx/dtype.ts';
import { AttributeReader, producers } from '../onnx/graph.ts';
import type { Node, Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { formatShape, sameShape } from '../onnx/shapes.ts';
import { NON_DIFFERENTIABLE } from './non-differentiable.ts';
import { ruleOf } from './registry.ts';
import { isQuantiser, knowsQuantised, straightThrough } from './rules/quantisation.ts';
import type { Rule, RuleContext } from './rule.ts';
import { missingRule } from './rule.ts';
import { reshapeLike } from './sizes.ts';

export interface OutputCotangent {
  readonly value: Value;
  /** Same type and shape as `value`. */
  readonly cotangent: Value;
}

export interface VjpOptions {
  /** Rules for single nodes, before the operator's own. */
  readonly overrides?: ReadonlyMap<Node, Rule>;
  /** Passes cotangents through the rounding of `QuantizeLinear` as if nothing were rounded. Without it that is an error. */
  readonly straightThrough?: boolean;
  /** Hears of a node without a rule, instead of an error; its inputs get zeros, and the walk goes on. */
  readonly whenMissing?: (node: Node, error: RefereeError) => void;
}

/**
 * Appends nodes that compute, for each value w of `wrt`, the cotangent sum_o cotangent_o^T d value_o / d w, and returns
 * them in order; undefined where no output depends on it. Only nodes between `wrt` and the outputs are followed. An
 * operator on such a path without a gradient rule is an error `MissingGradientRule`.
 */
export function vjp(
  b: GraphBuilder,
  outputs: readonly OutputCotangent[],
  wrt: readonly Value[],
  { overrides = new Map(), straightThrough: isStraight = false, whenMissing }: VjpOptions = {},
): (Value | undefined)[] {
  const nodes = [...b.nodes];
  const made = producers(nodes.filter((node) => !overrides.has(node)));
  const reached = reachedFrom(wrt, nodes, overrides);
  const cotangents = new Cotangents(b);
  for (const { value, cotangent } of outputs) {
    checkCotangent(value, cotangent);
    if (reached.has(value)) cotangents.add(value, cotangent);
  }
  for (const node of nodes.reverse()) {
    const gradients = node.outputs.map((output) => (reached.has(output) ? cotangents.of(output) : undefined));
    if (gradients.every((gradient) => gradient === undefined)) continue;
    if (!node.inputs.some((input) => input && reached.has(input))) continue;
    b.scope(`vjp/${node.name.replace(/^\//, '')}`, () => {
      const own = overrides.get(node) ?? (isStraight && node.op === 'QuantizeLinear' ? straightThrough : undefined);
      const parts = { gradients, reached, made, cotangents, rule: own };
      try {
        contribute(b, node, parts);
      } catch (error) {
        if (!whenMissing || !isRefereeError(error) || error.code !== 'MissingGradientRule') throw error;
        whenMissing(node, error);
        contributeZeros(b, node, parts);
      }
    });
  }
  return wrt.map((value) => cotangents.of(value));
}

/** Like `vjp`, with zeros where nothing depends on a value. */
export function vjpOrZeros(...args: Parameters<typeof vjp>): Value[] {
  const [b, , wrt] = args;
  return vjp(...args).map((gradient, at) => gradient ?? op.zerosLike(b, wrt[at]!));
}

/**
 * Values that carry a derivative by one of `wrt`: real numbers, computed from it by differentiable operators, and quantised
 * ones, which stand for real numbers and must not end a path unsaid.
 */
function reachedFrom(wrt: readonly Value[], nodes: readonly Node[], overrides: ReadonlyMap<Node, Rule>): Set<Value> {
  const reached = new Set(wrt.filter((value) => isFloat(value.dtype)));
  for (const node of nodes) {
    if (NON_DIFFERENTIABLE.has(node.op) && !overrides.has(node)) continue;
    if (!node.inputs.some((input) => input && reached.has(input))) continue;
    const isQuantised = isQuantiser(node) || node.inputs.some((input) => isQuantisedIn(input, reached));
    for (const output of node.outputs) if (isFloat(output.dtype) || isQuantised) reached.add(output);
  }
  return reached;
}

/** Whole numbers carry a derivative only where they stand for real ones. */
function isQuantisedIn(value: Value | undefined, reached: ReadonlySet<Value>): boolean {
  return value !== undefined && !isFloat(value.dtype) && reached.has(value);
}

/** Sums of contributions, formed when they are first asked for. */
class Cotangents {
  readonly #b: GraphBuilder;
  readonly #parts = new Map<Value, Value[]>();

  constructor(b: GraphBuilder) {
    this.#b = b;
  }

  add(value: Value, part: Value): void {
    const parts = this.#parts.get(value);
    if (parts) parts.push(part);
    else this.#parts.set(value, [part]);
  }

  of(value: Value): Value | undefined {
    const parts = this.#parts.get(value);
    if (!parts) return undefined;
    const total = parts.length === 1 ? parts[0]! : op.sum(this.#b, parts);
    this.#parts.set(value, [total]);
    return total;
  }
}

interface Contributing {
  readonly gradients: readonly (Value | undefined)[];
  readonly reached: ReadonlySet<Value>;
  readonly made: ReadonlyMap<Value, Node>;
  readonly cotangents: Cotangents;
  readonly rule: Rule | undefined;
}

function contribute(b: GraphBuilder, node: Node, { gradients, reached, made, cotangents, rule }: Contributing): void {
  const needs = (at: number): boolean => {
    const input = node.inputs[at];
    return input !== undefined && reached.has(input);
  };
  const found = rule ?? (node.domain === '' ? ruleOf(node.op) : undefined);
  const firstNeeded = node.inputs.findIndex((_, at) => needs(at));
  if (!found) throw missingRule(node, firstNeeded);
  if (!rule && !passesQuantised(node, reached)) {
    throw missingRule(node, firstNeeded, 'it reads quantised numbers');
  }
  const contributions = found(contextOf(b, node, { gradients, made, needs }), b);
  for (const [at, input] of node.inputs.entries()) {
    if (!input || !needs(at)) continue;
    if (at >= contributions.length) throw missingRule(node, at);
    const part = contributions[at]?.();
    if (part) cotangents.add(input, fitting(b, node, part, input));
  }
}

function contributeZeros(b: GraphBuilder, node: Node, { reached, cotangents }: Contributing): void {
  for (const input of node.inputs) {
    if (!input || !reached.has(input)) continue;
    // Quantised numbers stand for real ones.
    const zero = b.scalar(0, isFloat(input.dtype) ? input.dtype : 'float32');
    cotangents.add(input, op.expandTo(b, zero, op.shape(b, input)));
  }
}

/** Whether the rule of the operator holds for what it reads: quantised numbers have cotangents of another type. */
function passesQuantised(node: Node, reached: ReadonlySet<Value>): boolean {
  return knowsQuantised(node) || !node.inputs.some((input) => isQuantisedIn(input, reached));
}

interface ContextParts {
  readonly gradients: readonly (Value | undefined)[];
  readonly made: ReadonlyMap<Value, Node>;
  readonly needs: (at: number) => boolean;
}

function contextOf(b: GraphBuilder, node: Node, { gradients, made, needs }: ContextParts): RuleContext {
  let zeros: Value | undefined;
  return {
    node,
    // Omitted optional inputs are undefined in here; rules read those by `optional`.
    inputs: node.inputs as unknown as RuleContext['inputs'],
    outputs: node.outputs as unknown as RuleContext['outputs'],
    gradients,
    get g() {
      const given = gradients[0];
      if (given) return given;
      zeros ??= op.zerosLike(b, node.outputs[0]!);
      return zeros;
    },
    attributes: new AttributeReader(node.attributes, `node ${node.name} (${node.op})`),
    optional: (at) => node.inputs[at],
    needs,
    producerOf: (value) => made.get(value),
  };
}

/** A rule may know less of a shape than its input says: the input's is right. A shape that contradicts it is a bug. */
function fitting(b: GraphBuilder, node: Node, part: Value, input: Value): Value {
  // Quantised numbers stand for real ones.
  const fits =
    (isFloat(input.dtype) ? part.dtype === input.dtype : isFloat(part.dtype)) &&
    part.shape.length === input.shape.length &&
    part.shape.every((dim, axis) => {
      const expected = input.shape[axis];
      return dim === expected || typeof dim === 'string' || typeof expected === 'string';
    });
  if (!fits) {
    throw new RefereeError(
      'Internal',
      `node ${node.name}: the rule of ${node.op} gave ${part.dtype} ${formatShape(part.shape)}, expected ${input.dtype} ${formatShape(input.shape)}`,
    );
  }
  return sameShape(part.shape, input.shape) ? part : reshapeLike(b, part, input);
}

function checkCotangent(value: Value, cotangent: Value): void {
  if (value.dtype === cotangent.dtype && value.shape.length === cotangent.shape.length) return;
  throw new RefereeError(
    'InvalidModel',
    `cotangent of ${value.name}: found ${cotangent.dtype} ${formatShape(cotangent.shape)}, expected ${value.dtype} ${formatShape(value.shape)}`,
  );
}
