import { expect, test } from 'vitest';

import { attention, causalMask, fixedMask, paddingMask, reorderTokens } from '../../../models/nn/attention.ts';
import { GraphBuilder } from '../../../models/onnx/builder.ts';
import { float32, int64 } from '../../../models/onnx/dtype.ts';
import type { Tensor } from '../../../models/onnx/dtype.ts';
import type { Value } from '../../../models/onnx/graph.ts';
import { expectClose } from '../../support/close.ts';
import { evaluate, noise } from '../../support/evaluate.ts';

const FLOAT32 = { rtol: 1e-5, atol: 1e-6 };

interface Case {
  readonly heads: number;
  readonly sees?: (row: number, column: number, batch: number) => boolean;
}

/** Head by head and row by row, in float64. */
function reference(query: Tensor, key: Tensor, value: Tensor, { heads, sees = () => true }: Case): Tensor {
  const [batch, rows, channels] = query.shape as [number, number, number];
  const columns = key.shape[1]!;
  const depth = channels / heads;
  const out = new Float64Array(batch * rows * channels);
  const at = (x: Tensor, n: number, t: number, c: number): number =>
    Number(x.data[(n * x.shape[1]! + t) * channels + c]!);
  for (let n = 0; n < batch; n += 1)
    for (let head = 0; head < heads; head += 1)
      for (let row = 0; row < rows; row += 1) {
        const scores = Array.from({ length: columns }, (_, column) => {
          if (!sees(row, column, n)) return -Infinity;
          let dot = 0;
          for (let d = 0; d < depth; d += 1)
            dot += at(query, n, row, head * depth + d) * at(key, n, column, head * depth + d);
          return dot / Math.sqrt(depth);
        });
        const total = scores.reduce((sum, score) => sum + Math.exp(score), 0);
        for (let d = 0; d < depth; d += 1) {
          const channel = head * depth + d;
          const mixed = scores.reduce(
            (sum, s, column) => sum + (Math.exp(s) / total) * at(value, n, column, channel),
            0,
          );
          out[(n * rows + row) * channels + channel] = mixed;
        }
      }
  return float32(out, query.shape);
}

const memory = { key: noise([2, 5, 12], 2), value: noise([2, 5, 12], 3) };

test.each([1, 2, 3, 12])('%d heads, more keys than queries', async (heads) => {
  const query = noise([2, 3, 12]);
  const y = await evaluate({ query, ...memory }, (b, { query: q, key, value }) =>
    attention(b, { query: q!, key: key!, value: value!, heads }),
  );
  expectClose(y, reference(query, memory.key, memory.value, { heads }), FLOAT32);
});

test.each([1, 3])('%d heads, tokens first: the same numbers in another order', async (heads) => {
  const query = noise([2, 5, 12]);
  const y = await evaluate({ query, ...memory }, (b, { query: q, key, value }) => {
    const [first, ...others] = [q!, key!, value!].map((x) => reorderTokens(b, x)) as [Value, Value, Value];
    const mask = causalMask(b, 5);
    return reorderTokens(
      b,
      attention(b, { query: first, key: others[0], value: others[1], heads, mask, order: 'tokens-first' }),
    );
  });
  const expected = reference(query, memory.key, memory.value, { heads, sees: (row, column) => column <= row });
  expectClose(y, expected, FLOAT32);
});

test('causal: no position sees a later one', async () => {
  const query = noise([2, 5, 12]);
  const y = await evaluate({ query, ...memory }, (b, { query: q, key, value }) =>
    attention(b, { query: q!, key: key!, value: value!, heads: 3, mask: causalMask(b, 5) }),
  );
  const expected = reference(query, memory.key, memory.value, { heads: 3, sees: (row, column) => column <= row });
  expectClose(y, expected, FLOAT32);
});

test('padding is seen by nobody, also with one head and together with an order', async () => {
  const query = noise([2, 5, 12]);
  const keep = int64([1, 1, 1, 1, 1, 1, 1, 1, 0, 0], [2, 5]);
  for (const heads of [1, 2]) {
    const y = await evaluate({ query, ...memory, keep }, (b, { query: q, key, value, keep: k }) => {
      const order = fixedMask(b, { rows: 5, columns: 5 }, (row, column) => column <= row);
      const mask = b.node('Add', [order, paddingMask(b, k!)])[0]!;
      return attention(b, { query: q!, key: key!, value: value!, heads, mask });
    });
    const sees = (row: number, column: number, n: number): boolean => column <= row && (n === 0 || column < 3);
    expectClose(y, reference(query, memory.key, memory.value, { heads, sees }), FLOAT32);
  }
});

test('heads that do not divide the channels are an error', () => {
  const b = new GraphBuilder('g');
  const x = b.input('x', 'float32', ['B', 4, 10]);
  expect(() => attention(b, { query: x, key: x, value: x, heads: 3 })).toThrow(
    'attention: 10 channels cannot be split into 3 heads',
  );
});
