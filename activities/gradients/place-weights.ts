/**
 * @file Where the weights of a written model lie. In the file itself, by reference where they are, or copied into one file
 * beside the model.
 */
import { open } from 'node:fs/promises';

import type { Graph, Initializer } from '../../models/onnx/graph.ts';
import { RefereeError } from '../../errors.ts';

/** Smaller ones stay in the model: they are shapes and scalars, which onnxruntime wants to see while it opens the file. */
const SMALLEST_OUTSIDE = 1024;
/** Start of a weight in the data file: a page, so that it can be mapped into memory. */
const ALIGNMENT = 4096;
const CHUNK = 8 * 2 ** 20;

export interface PlacedWeights {
  readonly graph: Graph;
  /** What the data file holds, in order. */
  readonly parts: readonly { readonly initializer: Initializer; readonly offset: number }[];
}

/** The graph with the weights that `isMoved` names as ranges of the file `data`. */
export function moveWeights(graph: Graph, data: string, isMoved: (initializer: Initializer) => boolean): PlacedWeights {
  const parts: { initializer: Initializer; offset: number }[] = [];
  let end = 0;
  const initializers = graph.initializers.map((initializer): Initializer => {
    const length = initializer.external?.length ?? initializer.data?.data.byteLength ?? 0;
    if (length < SMALLEST_OUTSIDE && !initializer.external) return initializer;
    if (!isMoved(initializer)) return initializer;
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    parts.push({ initializer, offset });
    end = offset + length;
    return { value: initializer.value, external: { file: data, offset, length } };
  });
  return { graph: { ...graph, initializers }, parts };
}

/** Bytes of the data file. */
export async function* weightChunks({ parts }: PlacedWeights): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const { initializer, offset } of parts) {
    if (offset > at) yield new Uint8Array(offset - at);
    at = offset;
    for await (const chunk of bytesOf(initializer)) {
      yield chunk;
      at += chunk.length;
    }
  }
}

/** The bytes of a weight, wherever it lies. */
export async function* bytesOf({ value, data, external }: Initializer): AsyncGenerator<Uint8Array> {
  if (data) {
    yield new Uint8Array(data.data.buffer, data.data.byteOffset, data.data.byteLength);
    return;
  }
  const handle = await open(external.file);
  try {
    for (let read = 0; read < external.length;) {
      const chunk = new Uint8Array(Math.min(CHUNK, external.length - read));
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, external.offset + read);
      if (bytesRead === 0)
        throw new RefereeError('InvalidModel', `weight ${value.name}: ${external.file} ends too soon`);
      yield chunk.subarray(0, bytesRead);
      read += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
