/**
 * @file What `referee grad --list` and `referee grad` make of a file: a value, or a refusal in one line. Everything else
 * is thrown.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { listModel } from '../../../activities/gradients/list-model.ts';
import type { ModelListing } from '../../../activities/gradients/list-model.ts';
import { openModelFile, readGraph } from '../../../activities/gradients/open-model.ts';
import { writeGradient } from '../../../activities/gradients/write-gradient.ts';
import type { Graph } from '../../../models/onnx/graph.ts';
import { readModel } from '../../../models/onnx/protobuf.ts';
import { acceptedLater } from '../support.ts';

/** How far a file got. */
export type Outcome = 'refused' | 'listed' | 'read' | 'differentiated';

/** `folder` holds what the files of `seeds.ts` refer to. */
export async function outcomeOf(bytes: Uint8Array, folder: string): Promise<Outcome> {
  const model = join(folder, 'model.onnx');
  await writeFile(model, bytes);
  const listing = await acceptedLater(() => listModel(model));
  if (!listing) return 'refused';
  checkListing(listing);
  const graph = await acceptedLater(async () => readGraph(await openModelFile(model)));
  if ((graph === undefined) !== (listing.problem !== undefined)) throw new Error('the list and the reader disagree');
  if (!graph) return 'listed';
  checkRanges(graph, folder);
  const real = (values: ModelListing['inputs']): string[] =>
    values.filter(({ dtype }) => dtype.includes('float')).map(({ name }) => name);
  const written = await acceptedLater(() =>
    writeGradient({
      model,
      of: real(listing.outputs),
      wrt: [...real(listing.inputs), ...real(listing.initializers).slice(0, 4)],
      output: join(folder, 'gradient.onnx'),
      force: true,
    }),
  );
  if (!written) return 'read';
  readModel(written.bytes, { folder });
  return 'differentiated';
}

function checkListing(listing: ModelListing): void {
  if (listing.problem !== undefined && /[\p{Cc}\u2028\u2029]/u.test(listing.problem)) {
    throw new Error(`not one plain line: ${JSON.stringify(listing.problem)}`);
  }
  JSON.stringify(listing);
}

function checkRanges({ initializers }: Graph, folder: string): void {
  for (const { external } of initializers) {
    if (external && !external.file.startsWith(`${folder}/`)) throw new Error(`${external.file} lies outside`);
  }
}
