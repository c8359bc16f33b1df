/** @file Folders and hand-made safetensors files for the tests of this room. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

/** A folder of its own, removed after the test. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'referee-weights-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** A file's bytes: length, header, data, none of it checked. */
export function assemble(
  header: string | Uint8Array,
  data: Uint8Array | number = 0,
  headerLength?: bigint,
): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const body = typeof data === 'number' ? new Uint8Array(data) : data;
  const file = new Uint8Array(8 + text.length + body.length);
  new DataView(file.buffer).setBigUint64(0, headerLength ?? BigInt(text.length), true);
  file.set(text, 8);
  file.set(body, 8 + text.length);
  return file;
}

export async function writeTemporary(bytes: Uint8Array, name = 'model.safetensors'): Promise<string> {
  const path = join(await newFolder(), name);
  await writeFile(path, bytes);
  return path;
}
