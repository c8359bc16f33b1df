/**
 * @file Whether a file is whole, from its format alone. Each function returns what is wrong, or undefined.
 */
import { isRefereeError, quoted } from '../../errors.ts';
import { readPngText } from '../../store/png.ts';

/** Every chunk has its checksum, and the last one is the end. */
export function pngFault(bytes: Uint8Array): string | undefined {
  return faultOf(() => readPngText(bytes));
}

/** RIFF says how long it is. */
export function webpFault(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at: number): string => new TextDecoder('latin1').decode(bytes.subarray(at, at + 4));
  if (bytes.length < 16 || name(0) !== 'RIFF' || name(8) !== 'WEBP') return 'not a WebP file';
  const expected = view.getUint32(4, true) + 8;
  return expected === bytes.length ? undefined : `expected ${expected} bytes, found ${bytes.length}`;
}

/** JSON lines, each of which is `wanted` by its number (from 0), with a final newline. */
export function linesFault(
  bytes: Uint8Array,
  wanted: (value: unknown, line: number) => string | undefined = () => undefined,
): string | undefined {
  const text = textOf(bytes);
  if (text === undefined) return 'not UTF-8 text';
  if (text !== '' && !text.endsWith('\n')) return 'is cut off: the last line has no end';
  for (const [i, line] of text.split('\n').slice(0, -1).entries()) {
    const value = jsonOf(line);
    if (value === undefined) return `line ${i + 1}: not JSON: ${quoted(line)}`;
    const fault = wanted(value, i);
    if (fault !== undefined) return `line ${i + 1}: ${fault}`;
  }
  return undefined;
}

/** Undefined for bytes that are no UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Undefined for what is no JSON; JSON itself has no undefined. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What a reader complains about. Errors that are none of ours are bugs, and thrown. */
export function faultOf(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (isRefereeError(error)) return error.message;
    throw error;
  }
}
