/**
 * @file What a graph computes from its constants alone, while it is built: small tensors only, such as the scales, axes and
 * conditions that exporters write as chains of nodes.
 */
import type { DType, Tensor } from './dtype.ts';
import { elementCount } from './dtype.ts';
import type { Node, Value } from './graph.ts';
import { AttributeReader } from './graph.ts';
import { evaluate } from './passes/evaluate.ts';
import type { Dim } from './shapes.ts';
import { isStatic } from './shapes.ts';

/** Larger ones are left to the folding pass, which puts them into the graph. */
const MAX_ELEMENTS = 64;

/** The tensor of an integer vector whose elements are all known. */
export function tensorOfDims({ dtype, shape }: Value, dims: readonly Dim[] | undefined): Tensor | undefined {
  if (!dims?.every((dim) => typeof dim === 'number') || !isStatic(shape)) return undefined;
  if (elementCount(shape) !== dims.length) return undefined;
  if (dtype === 'int64') return { dtype, shape, data: BigInt64Array.from(dims, (dim) => BigInt(dim)) };
  if (dtype === 'int32') return { dtype, shape, data: Int32Array.from(dims) };
  if (dtype === 'bool') return { dtype, shape, data: Uint8Array.from(dims) };
  return undefined;
}

/** The small result of a node of small known inputs, undefined where it is not for us to compute. */
export function smallResult(
  { op, name, inputs, attributes }: Pick<Node, 'op' | 'name' | 'inputs' | 'attributes'>,
  { dtype, shape }: Value,
  contentsOf: (value: Value) => Tensor | undefined,
): Tensor | undefined {
  if (inputs.length === 0) return undefined;
  const tensors: (Tensor | undefined)[] = [];
  for (const input of inputs) {
    const tensor = input && contentsOf(input);
    if (input && (!tensor || tensor.data.length > MAX_ELEMENTS)) return undefined;
    tensors.push(tensor);
  }
  if (!isStatic(shape) || elementCount(shape) > MAX_ELEMENTS) return undefined;
  const made = evaluate({ op, inputs: tensors, attributes: new AttributeReader(attributes, name), dtype, shape });
  return made?.data.length === elementCount(shape) ? made : undefined;
}

/** Longer vectors of whole numbers are no shapes. */
const MAX_FOLLOWED = 64;

/** What is known of the contents of a graph's values before run time, noted node by node. */
export class Contents {
  readonly #constants = new Map<Value, Tensor>();
  readonly #dims = new Map<Value, readonly Dim[]>();

  /** Of a constant, or of a small value computed from constants and sizes. */
  readonly constant = (value: Value): Tensor | undefined =>
    this.#constants.get(value) ?? tensorOfDims(value, this.#dims.get(value));

  /** Elements of an integer vector, as far as they are known as numbers or symbols. */
  readonly dims = (value: Value): readonly Dim[] | undefined => this.#dims.get(value);

  isKnown(value: Value): boolean {
    return this.#constants.has(value) || this.#dims.has(value);
  }

  note(value: Value, data: Tensor): void {
    this.#constants.set(value, data);
    if (isWhole(data.dtype) && data.shape.length <= 1 && data.data.length <= MAX_FOLLOWED) {
      this.#dims.set(value, Array.from(data.data as BigInt64Array | Int32Array | Uint8Array, Number));
    }
  }

  noteDims(value: Value, dims: readonly Dim[] | undefined): void {
    if (dims) this.#dims.set(value, dims);
  }

  /** Notes what a node makes of known contents. */
  follow(node: Node): void {
    const [value] = node.outputs;
    if (!value || node.outputs.length > 1) return;
    for (const input of node.inputs) if (input && !this.isKnown(input)) return;
    const made = smallResult(node, value, this.constant);
    if (made) this.note(value, made);
  }
}

/** Whether inference may know the elements of such a value. */
export function canHaveDims({ dtype, shape }: Value): boolean {
  return isWhole(dtype) && shape.length <= 1;
}

function isWhole(dtype: DType): boolean {
  return dtype === 'int64' || dtype === 'int32' || dtype === 'bool';
}
