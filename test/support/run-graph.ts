/**
 * @file Runs a graph on onnxruntime inside the test process: CPU, one thread. Weights of other files are read where they
 * lie.
 */
import * as ort from 'onnxruntime-node';

import type { DType, Tensor, TypedArray } from '../../models/onnx/dtype.ts';
import type { Graph } from '../../models/onnx/graph.ts';
import { writeModel } from '../../models/onnx/protobuf.ts';

export interface RunOptions {
  /** onnxruntime's own rewriting of the graph; "disabled" runs the nodes as they are written. */
  readonly optimisation?: 'disabled' | 'basic' | 'extended' | 'all';
}

/**
 * Outputs of `graph` by name (all of them, or those asked for).
 */
export async function runGraph(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  outputs?: readonly string[],
  options: RunOptions = {},
): Promise<Record<string, Tensor>> {
  return runModel(writeModel(graph), feeds, outputs, options);
}

/** As `runGraph`, of the bytes of a model. */
export async function runModel(
  model: Uint8Array,
  feeds: Readonly<Record<string, Tensor>>,
  outputs?: readonly string[],
  { optimisation = 'all' }: RunOptions = {},
): Promise<Record<string, Tensor>> {
  const session = await openModel(model, optimisation);
  try {
    const inputs = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]));
    const results = await session.run(inputs, [...(outputs ?? session.outputNames)]);
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value)]));
  } finally {
    await session.release();
  }
}

/** A session for tests that run one graph many times; the caller releases it. */
export async function openModel(
  model: Uint8Array,
  optimisation: NonNullable<RunOptions['optimisation']> = 'all',
): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: optimisation,
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: '/' } },
  });
}

export function toOrt({ dtype, shape, data }: Tensor): ort.Tensor {
  return new ort.Tensor(dtype as ort.Tensor.Type, data as ort.Tensor.DataType, [...shape]);
}

export function fromOrt(value: ort.OnnxValue): Tensor {
  const { type, dims, data } = value;
  const typed = data as TypedArray;
  // Sessions may reuse their memory: keep a copy.
  return { dtype: type as DType, shape: [...dims], data: typed.slice() };
}
