/**
 * @file Runs a function of a model on the inputs of a recording and compares what comes out with the recording.
 */
import { NamedInputs, modelFunctions } from '../../models/architectures/functions.ts';
import { Scope } from '../../models/nn/scope.ts';
import type { WeightSource } from '../../models/nn/scope.ts';
import { GraphBuilder } from '../../models/onnx/builder.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import type { Tolerance } from './close.ts';
import { expectClose } from './close.ts';
import { readFixture, tensorsBelow } from './fixtures.ts';
import { runGraph } from './run-graph.ts';
import { fixtureConfig } from './weights.ts';

/** Absolute to the largest values, which are 1 to 5: ten times what PyTorch's float32 differs from its float64. */
export const OUTPUTS: Tolerance = { rtol: 1e-5, atol: 2e-5 };

export interface Recording {
  /** Folder below `test/fixtures`. */
  readonly folder: string;
  readonly function: string;
  readonly source: WeightSource;
  /** Replaces fields of the folder's config. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Outputs of the function on the recorded inputs. */
export async function runRecording(recording: Recording): Promise<Record<string, Tensor>> {
  const { folder, source } = recording;
  const fixture = readFixture(`${folder}/reference-${recording.function}.safetensors`);
  const config = { ...fixtureConfig(folder), ...recording.config };
  const build = modelFunctions(fixture.metadata['model']!, config, `${folder}/config.json`)[recording.function]!;
  const feeds = tensorsBelow(fixture, 'input.');
  const b = new GraphBuilder(folder);
  const inputs = new Map(
    Object.entries(feeds).map(([name, { dtype, shape }]) => [name, b.input(name, dtype, ['B', ...shape.slice(1)])]),
  );
  for (const [name, value] of Object.entries(build(b, new Scope(source), new NamedInputs(inputs, folder)))) {
    b.output(`output.${name}`, value);
  }
  const results = await runGraph(b.build(), feeds);
  return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name.slice('output.'.length), tensor]));
}

/** Fails unless all recorded outputs come out. */
export async function expectRecording(recording: Recording, tolerance: Tolerance = OUTPUTS): Promise<void> {
  const fixture = readFixture(`${recording.folder}/reference-${recording.function}.safetensors`);
  const found = await runRecording(recording);
  for (const [name, expected] of Object.entries(tensorsBelow(fixture, 'output.'))) {
    expectClose(found[name], expected, tolerance, name);
  }
}
