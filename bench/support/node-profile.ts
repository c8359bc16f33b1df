/**
 * @file Seconds of every node of a graph in onnxruntime, by its own profile, with operations and bytes counted from the
 * shapes that the profile tells. One thread, in this process.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { z } from 'zod';

import { sessionOptions } from '../../models/runtime/session-settings.ts';
import { median } from '../machine.ts';
import { nodeFlops } from './flops.ts';
import type { Feeds, StepCall } from './step-calls.ts';

export interface NodeTime {
  readonly name: string;
  readonly op: string;
  /** Median of the calls. */
  readonly seconds: number;
  /** Of convolutions and matrix products; 0 for everything else. */
  readonly flops: number;
  /** Read and written, as if every tensor went through memory once. */
  readonly bytes: number;
  readonly inputs: readonly Shape[];
  readonly outputs: readonly Shape[];
}

export type Shape = readonly number[];

export interface GraphTime {
  readonly nodes: readonly NodeTime[];
  /** Of all nodes together. */
  readonly seconds: number;
  /** Median of whole calls without the profile, which takes microseconds a node: small nodes seem longer than they are. */
  readonly wholeSeconds: number;
}

/** The first call allocates, and lays out what later ones find. */
const WARM_CALLS = 2;
const MICROSECONDS = 1e-6;

const typed = z.array(z.record(z.string(), z.array(z.number())));
const size = z.coerce.number().default(0);
const eventSchema = z.looseObject({
  cat: z.string(),
  name: z.string(),
  ts: z.number(),
  dur: z.number().default(0),
  args: z
    .looseObject({
      op_name: z.string(),
      node_index: z.string(),
      input_type_shape: typed,
      output_type_shape: typed,
      activation_size: size,
      parameter_size: size,
      output_size: size,
    })
    .optional()
    .catch(undefined),
});
type Event = z.output<typeof eventSchema>;

/** @param repeats calls that count; two before them do not */
export async function profileCall(
  { graph, model }: StepCall,
  feeds: Feeds,
  { repeats, lanes }: { repeats: number; lanes: number },
): Promise<GraphTime> {
  const folder = await mkdtemp(join(tmpdir(), 'referee-profile-'));
  try {
    const given = Object.entries(feeds).map(
      ([name, { dtype, data, shape }]) =>
        [name, new OrtTensor(dtype as 'float32', data as Float32Array, shape)] as const,
    );
    const wholeSeconds = median(await timed(model, Object.fromEntries(given), repeats));
    await timed(model, Object.fromEntries(given), repeats, join(folder, 'profile'));
    const [file] = await readdir(folder);
    const events = z.array(eventSchema).parse(JSON.parse(await readFile(join(folder, file!), 'utf8')));
    const nodes = read(events, nodeFlops(graph, { B: lanes }));
    return { nodes, seconds: nodes.reduce((total, { seconds }) => total + seconds, 0), wholeSeconds };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Seconds of calls in a session of their own. */
async function timed(
  model: Uint8Array,
  feeds: Readonly<Record<string, OrtTensor>>,
  repeats: number,
  profile?: string,
): Promise<number[]> {
  const options = { provider: 'cpu', threads: 1, memory: 'fast', weightsRoot: '/' } as const;
  const session = await InferenceSession.create(
    model,
    sessionOptions({ ...options, ...(profile !== undefined && { profile }) }),
  );
  const times: number[] = [];
  for (let call = -WARM_CALLS; call < repeats; call += 1) {
    const begun = performance.now();
    await session.run(feeds);
    if (call >= 0) times.push((performance.now() - begun) / 1000);
  }
  if (profile !== undefined) session.endProfiling();
  await session.release();
  return times;
}

/** @param known operations by name of node, for kernels that do not tell the shape of their weights */
function read(events: readonly Event[], known: ReadonlyMap<string, number>): NodeTime[] {
  const runs = events.filter(({ name }) => name === 'model_run').slice(WARM_CALLS);
  const from = runs[0]?.ts ?? 0;
  const byNode = new Map<string, Event[]>();
  for (const event of events) {
    const { cat, name, ts, args } = event;
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || ts < from || !args) continue;
    byNode.set(args.node_index, [...(byNode.get(args.node_index) ?? []), event]);
  }
  return [...byNode.values()].map((all): NodeTime => {
    const { name, args } = all[0]!;
    const { op_name: op, activation_size, parameter_size, output_size } = args!;
    const [inputs, outputs] = [args!.input_type_shape, args!.output_type_shape].map(shapesOf) as [Shape[], Shape[]];
    const own = name.replace(/_kernel_time$/, '');
    return {
      name: own,
      op,
      seconds: median(all.map(({ dur }) => dur)) * MICROSECONDS,
      flops: known.get(own) ?? 2 * multiplyAdds(op, inputs, outputs),
      bytes: activation_size + parameter_size + output_size,
      inputs,
      outputs,
    };
  });
}

function shapesOf(all: z.output<typeof typed>): Shape[] {
  return all.map((of) => Object.values(of)[0] ?? []);
}

/** From the shapes of a call, whichever way its matrices are turned: nodes that the runtime fused have new names. */
function multiplyAdds(op: string, inputs: readonly Shape[], outputs: readonly Shape[]): number {
  const [x, y, z_] = inputs;
  const [out] = outputs;
  if (!x || !out) return 0;
  switch (op) {
    case 'Conv':
    case 'FusedConv':
      return y ? count(out) * count(y.slice(1)) : 0;
    case 'MatMul':
    case 'FusedMatMul':
    case 'Gemm':
    case 'FusedGemm':
      return (count(out) * count(x.slice(-2))) / (out.at(-2) ?? 1);
    case 'MultiHeadAttention':
    case 'Attention': {
      if (!y || !z_ || x.length !== 3) return 0;
      // [B, S, H] queries with [B, L, H] keys, and the mixture of [B, L, V] values.
      return x[0]! * x[1]! * y[1]! * (x[2]! + z_.at(-1)!);
    }
    default:
      return 0;
  }
}

function count(shape: Shape): number {
  return shape.reduce((product, size_) => product * size_, 1);
}
