/**
 * @file Safetensors files, read by byte ranges: opening reads the header, `read` one tensor, whatever the file's size.
 */
import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

import { RefereeError, quoted } from '../../errors.ts';
import type { Tensor } from '../onnx/dtype.ts';
import { decodeTensor } from './decode.ts';
import { LENGTH_BYTES, parseHeader, parseHeaderLength, type SafetensorsHeader, type TensorEntry } from './header.ts';

export type { TensorEntry } from './header.ts';
export { decodeSafetensors } from './decode.ts';
export { writeSafetensors } from './write.ts';

/** Node reads at most 2 GiB - 1 at once. */
const MAX_READ_BYTES = 2 ** 30;

export class SafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** By name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly #handle: FileHandle;

  constructor(path: string, header: SafetensorsHeader, handle: FileHandle) {
    this.path = path;
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.#handle = handle;
  }

  /**
   * Reads one tensor into memory of its own. float16 and bfloat16 come as their 16 bits.
   *
   * @throws RefereeError `InvalidWeights` for a name that the file lacks, or when the file changed since it was opened
   */
  async read(name: string): Promise<Tensor> {
    const entry = this.tensors.get(name);
    if (entry === undefined) {
      throw new RefereeError('InvalidWeights', `${this.path}: tensor ${quoted(name)} is missing`, {
        details: { file: this.path, tensor: name },
      });
    }
    const bytes = new Uint8Array(entry.length);
    await readFully(this.#handle, bytes, { offset: entry.offset, path: this.path });
    return decodeTensor(entry, bytes, this.path);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a file and reads its header.
 *
 * @throws RefereeError `InvalidWeights`, in one line, for a file that is missing or breaks a rule of the format
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const handle = await openRegularFile(path);
  try {
    const fileBytes = (await handle.stat()).size;
    const start = new Uint8Array(Math.min(LENGTH_BYTES, fileBytes));
    await readFully(handle, start, { offset: 0, path });
    const header = new Uint8Array(parseHeaderLength(start, fileBytes, path));
    await readFully(handle, header, { offset: LENGTH_BYTES, path });
    return new SafetensorsFile(path, parseHeader(header, fileBytes, path), handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openRegularFile(path: string): Promise<FileHandle> {
  try {
    // Asked before opening: the opening of a named pipe would wait for its writer.
    if (!(await stat(path)).isFile()) throw new RefereeError('InvalidWeights', `${path}: not a file`);
    return await open(path, constants.O_RDONLY);
  } catch (error) {
    if (error instanceof RefereeError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    const found = reason === 'ENOENT' ? 'no such file' : `cannot be opened: ${reason}`;
    throw new RefereeError('InvalidWeights', `${path}: ${found}`, { cause: error, details: { file: path } });
  }
}

async function readFully(
  handle: FileHandle,
  into: Uint8Array,
  { offset, path }: { offset: number; path: string },
): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const wanted = Math.min(into.length - done, MAX_READ_BYTES);
    const { bytesRead } = await handle.read(into, done, wanted, offset + done);
    if (bytesRead === 0) {
      const message = `${path}: ends at byte ${offset + done}, expected ${offset + into.length}: did it change?`;
      throw new RefereeError('InvalidWeights', message, { details: { file: path } });
    }
    done += bytesRead;
  }
}
