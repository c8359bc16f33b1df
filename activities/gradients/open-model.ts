/**
 * @file A model file of anybody's: its bytes, its graph, and the files that hold its weights, checked before anybody reads
 * them: inside the model's folder (links followed), long enough.
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { RefereeError, quoted } from '../../errors.ts';
import type { Graph } from '../../models/onnx/graph.ts';
import type { ReadOptions } from '../../models/onnx/protobuf.ts';
import { readModel } from '../../models/onnx/protobuf.ts';

export interface ModelFile {
  /** As the user wrote it. */
  readonly name: string;
  /** Links followed. */
  readonly path: string;
  readonly folder: string;
  readonly bytes: Uint8Array;
}

/** protobuf's own limit. */
const MOST_BYTES = 2 ** 31 - 1;

/** @throws RefereeError `NotFound` or `InvalidInput` for a path that is no file of a possible size */
export async function openModelFile(name: string): Promise<ModelFile> {
  const path = await realpath(resolve(name)).catch((cause: unknown) => {
    throw new RefereeError('NotFound', `${name}: no such file`, { cause });
  });
  const { size, isFile } = await stat(path).then((found) => ({ size: found.size, isFile: found.isFile() }));
  if (!isFile) throw new RefereeError('InvalidInput', `${name}: expected an ONNX file, found no regular file`);
  if (size > MOST_BYTES) throw new RefereeError('InvalidInput', `${name}: ${size} bytes, expected at most 2 GiB`);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new RefereeError('InvalidInput', `${name}: cannot be read`, { cause });
  });
  return { name, path, folder: dirname(path), bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) };
}

/** The graph, with the paths of its weights resolved; `sizes` of open dimensions as for `readModel`. */
export async function readGraph({ name, folder, bytes }: ModelFile, sizes: ReadOptions['sizes'] = {}): Promise<Graph> {
  const graph = readModel(bytes, { name, folder, sizes });
  const files = new Map<string, { readonly path: string; readonly size: number }>();
  for (const { external } of graph.initializers) {
    if (external && !files.has(external.file)) files.set(external.file, await weightsFile(external.file, folder, name));
  }
  const initializers = graph.initializers.map((initializer) => {
    if (!initializer.external) return initializer;
    const { file, offset, length } = initializer.external;
    const { path, size } = files.get(file)!;
    if (offset + length > size) {
      const found = `bytes ${offset} to ${offset + length} of ${quoted(file)}, which has ${size}`;
      throw new RefereeError('InvalidModel', `${name}: initializer ${quoted(initializer.value.name)}: ${found}`);
    }
    return { ...initializer, external: { file: path, offset, length } };
  });
  return { ...graph, initializers };
}

async function weightsFile(file: string, folder: string, name: string): Promise<{ path: string; size: number }> {
  const path = await realpath(file).catch((cause: unknown) => {
    throw new RefereeError('InvalidModel', `${name}: external data ${quoted(file)}: no such file`, { cause });
  });
  if (!path.startsWith(folder === '/' ? '/' : `${folder}/`)) {
    throw new RefereeError('InvalidModel', `${name}: external data ${quoted(file)} leads out of the model's folder`);
  }
  const found = await stat(path);
  if (!found.isFile()) {
    throw new RefereeError('InvalidModel', `${name}: external data ${quoted(file)} is no regular file`);
  }
  return { path, size: found.size };
}
