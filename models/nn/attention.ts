/**
 * @file Attention with several heads: softmax(Q K^T / sqrt(d) + mask) V, written as the products and the one softmax that
 * it is (Vaswani et al. 2017, section 3.2), and the masks that go with it.
 */
import { RefereeError } from '../../errors.ts';
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32 } from '../onnx/dtype.ts';
import type { Value } from '../onnx/graph.ts';
import * as op from '../onnx/ops.ts';
import { sizeOf } from './linear.ts';

/** What a masked score is lowered by: far below any score, and two of them still have a finite sum. */
const MASKED = -1e30;

/**
 * Order of the axes of tokens: rows of a batch one after the other, [B, T, C], or tokens first, [T, B, C]. With tokens first
 * onnxruntime's products on CPUs read every head where it lies, forwards and backwards; otherwise it is copied first.
 */
export type TokenOrder = 'rows-first' | 'tokens-first';

export interface AttentionInput {
  /** [B, Tq, C], or [Tq, B, C] with tokens first. */
  readonly query: Value;
  /** [B, Tk, C] */
  readonly key: Value;
  /** [B, Tk, Cv] */
  readonly value: Value;
  readonly heads: number;
  /** Added to the scores [B, heads, Tq, Tk]; any shape that broadcasts to it. */
  readonly mask?: Value | undefined;
  /** `rows-first` by default. */
  readonly order?: TokenOrder | undefined;
}

/** -> [B, Tq, Cv], or [Tq, B, Cv] with tokens first. Head i works on the i-th of `heads` equal slices of the channels. */
export function attention(b: GraphBuilder, { query, key, value, heads, mask, order }: AttentionInput): Value {
  const width = headWidth(query, heads);
  // A factor right behind a product is taken into it by onnxruntime, forwards and backwards.
  const scaled = (product: Value): Value => op.mulScalar(b, product, 1 / Math.sqrt(width));
  if (order === 'tokens-first') {
    const apart = (x: Value): Value => splitTokens(b, x, heads);
    const scores = scaled(op.matMul(b, apart(query), op.transposeMatrix(b, apart(key))));
    const weights = op.softmax(b, mask ? op.add(b, scores, mask) : scores);
    return joinTokens(b, op.matMul(b, weights, apart(value)));
  }
  if (heads === 1 && !mask) {
    return op.matMul(b, op.softmax(b, scaled(op.matMul(b, query, op.transposeMatrix(b, key)))), value);
  }
  const scores = scaled(op.matMul(b, splitHeads(b, query, heads), splitHeads(b, key, heads, 'transposed')));
  const weights = op.softmax(b, mask ? op.add(b, scores, mask) : scores);
  return joinHeads(b, op.matMul(b, weights, splitHeads(b, value, heads)));
}

function headWidth(x: Value, heads: number): number {
  const channels = sizeOf(x, 2);
  if (channels % heads === 0) return channels / heads;
  throw new RefereeError('InvalidModel', `attention: ${channels} channels cannot be split into ${heads} heads`);
}

/** [B, T, C] -> [B, heads, T, C / heads], or [B, heads, C / heads, T]. */
function splitHeads(b: GraphBuilder, x: Value, heads: number, form: 'rows' | 'transposed' = 'rows'): Value {
  const width = headWidth(x, heads);
  const split = op.reshape(b, x, [x.shape[0]!, x.shape[1]!, heads, width]);
  return op.transpose(b, split, form === 'rows' ? [0, 2, 1, 3] : [0, 2, 3, 1]);
}

/** [B, heads, T, d] -> [B, T, heads d] */
function joinHeads(b: GraphBuilder, x: Value): Value {
  const merged = op.transpose(b, x, [0, 2, 1, 3]);
  return op.reshape(b, merged, [x.shape[0]!, x.shape[2]!, sizeOf(x, 1) * sizeOf(x, 3)]);
}

/** [T, B, C] -> [B, heads, T, C / heads] */
function splitTokens(b: GraphBuilder, x: Value, heads: number): Value {
  const split = op.reshape(b, x, [x.shape[0]!, x.shape[1]!, heads, headWidth(x, heads)]);
  return op.transpose(b, split, [1, 2, 0, 3]);
}

/** [B, heads, T, d] -> [T, B, heads d] */
function joinTokens(b: GraphBuilder, x: Value): Value {
  const merged = op.transpose(b, x, [2, 0, 1, 3]);
  return op.reshape(b, merged, [x.shape[2]!, x.shape[0]!, sizeOf(x, 1) * sizeOf(x, 3)]);
}

/** Exchanges rows and tokens: [B, T, C] to [T, B, C], or back. */
export function reorderTokens(b: GraphBuilder, x: Value): Value {
  return op.transpose(b, x, [1, 0, 2]);
}

/** Mask [1, 1, rows, columns] that is 0 where `sees(row, column)`, for what is known when the graph is built. */
export function fixedMask(
  b: GraphBuilder,
  { rows, columns }: { readonly rows: number; readonly columns: number },
  sees: (row: number, column: number) => boolean,
): Value {
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      if (!sees(row, column)) values[row * columns + column] = MASKED;
    }
  }
  return b.constant(float32(values, [1, 1, rows, columns]), 'mask');
}

/** Position i sees the positions j <= i. [1, 1, length, length] */
export function causalMask(b: GraphBuilder, length: number): Value {
  return fixedMask(b, { rows: length, columns: length }, (row, column) => column <= row);
}

/** keep [B, Tk] int64, 1 where a token counts and 0 where it is padding -> mask [B, 1, 1, Tk]. */
export function paddingMask(b: GraphBuilder, keep: Value): Value {
  const missing = op.sub(b, b.scalar(1), op.cast(b, keep, 'float32'));
  return op.unsqueeze(b, op.mulScalar(b, missing, MASKED), [1, 2]);
}
