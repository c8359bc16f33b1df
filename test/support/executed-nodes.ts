/**
 * @file What onnxruntime's own profile says of a session on the CPU: which nodes ran, one after the other.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { z } from 'zod';

import type { Tensor } from '../../models/onnx/dtype.ts';
import type { Graph } from '../../models/onnx/graph.ts';
import { writeModel } from '../../models/onnx/protobuf.ts';
import { sessionOptions } from '../../models/runtime/session-settings.ts';

const eventsSchema = z.array(z.looseObject({ cat: z.string().optional(), name: z.string().default('') }));

/** Names of the nodes that ran, in their order; float32 feeds. `isFused` false: the nodes as they are written. */
export async function executedNodes(
  model: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  { isFused = true }: { readonly isFused?: boolean } = {},
): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'referee-order-'));
  try {
    const options = sessionOptions({ provider: 'cpu', threads: 1, memory: 'fast', profile: join(folder, 'order') });
    const session = await InferenceSession.create(writeModel(model), {
      ...options,
      ...(isFused ? {} : { graphOptimizationLevel: 'disabled' }),
    });
    const fed = Object.entries(feeds).map(([name, { data, shape }]) => [
      name,
      new OrtTensor('float32', data as Float32Array, shape),
    ]);
    await session.run(Object.fromEntries(fed) as Record<string, OrtTensor>);
    session.endProfiling();
    await session.release();
    const [file] = await readdir(folder);
    const events = eventsSchema.parse(JSON.parse(await readFile(join(folder, file!), 'utf8')));
    return events.flatMap(({ cat, name }) =>
      cat === 'Node' && name.endsWith('_kernel_time') ? [name.replace(/_kernel_time$/, '')] : [],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
