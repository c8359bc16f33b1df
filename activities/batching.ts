/**
 * @file One call of a graph for many lanes, spread over devices: rows are divided among them, run side by side, and put
 * together again. Graphs keep lanes apart, so the division changes no byte.
 */
import { RefereeError } from '../errors.ts';
import type { DType, Tensor, TypedArray } from '../models/onnx/dtype.ts';
import type { Session } from '../models/runtime/device.ts';

type Tensors = Readonly<Record<string, Tensor>>;

/** Runs `feeds`, whose first axes are multiples of `lanes`, on the sessions of one graph. */
export async function runLanes(
  sessions: readonly Session[],
  feeds: Tensors,
  lanes: number,
): Promise<Record<string, Tensor>> {
  const parts = Math.min(sessions.length, lanes);
  if (parts <= 1) return sessions[0]!.run(feeds);
  const borders = Array.from({ length: parts + 1 }, (_, part) => Math.round((part * lanes) / parts));
  const results = await Promise.all(
    sessions.slice(0, parts).map(async (session, part) => {
      const [from, to] = [borders[part]!, borders[part + 1]!];
      const own = Object.entries(feeds).map(([name, tensor]) => [name, laneRows(tensor, lanes, [from, to])] as const);
      return session.run(Object.fromEntries(own));
    }),
  );
  const names = Object.keys(results[0]!);
  return Object.fromEntries(names.map((name) => [name, joined(results.map((result) => result[name]!))]));
}

/** The rows of lanes `from` up to, not including, `to`. */
export function laneRows({ dtype, shape, data }: Tensor, lanes: number, [from, to]: readonly [number, number]): Tensor {
  const rows = shape[0] ?? 0;
  if (rows % lanes !== 0) throw new RefereeError('Internal', `${rows} rows cannot be divided among ${lanes} lanes`);
  const perLane = data.length / lanes;
  return {
    dtype,
    shape: [(rows / lanes) * (to - from), ...shape.slice(1)],
    data: data.subarray(from * perLane, to * perLane),
  };
}

function joined(tensors: readonly Tensor[]): Tensor {
  const { dtype, shape } = tensors[0]!;
  const rows = tensors.reduce((sum, tensor) => sum + tensor.shape[0]!, 0);
  const data = emptyLike(
    tensors[0]!,
    tensors.reduce((sum, tensor) => sum + tensor.data.length, 0),
  );
  let at = 0;
  for (const tensor of tensors) {
    (data as Float32Array).set(tensor.data as Float32Array, at);
    at += tensor.data.length;
  }
  return { dtype: dtype satisfies DType, shape: [rows, ...shape.slice(1)], data };
}

function emptyLike({ data }: Tensor, length: number): TypedArray {
  return new (data.constructor as new (length: number) => TypedArray)(length);
}
