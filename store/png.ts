/**
 * @file PNG files with text: fast-png encodes the pixels, the `iTXt` chunks are ours (PNG specification, third edition,
 * 11.3.3), since settings need Unicode and keywords of their own.
 */
import { crc32, inflateSync } from 'node:zlib';

import { RefereeError, quoted } from '../errors.ts';
import type { Rgb8 } from './pixels.ts';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

/** No settings are longer; a compressed chunk of a stranger's file must not fill the memory. */
const TEXT_LIMIT_BYTES = 1 << 20;

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

/**
 * 8-bit RGB with text by keyword. Same input, same bytes.
 * @throws Internal for a keyword that is not 1 to 79 printable ASCII characters
 */
export async function encodePng(image: Rgb8, text: Readonly<Record<string, string>> = {}): Promise<Uint8Array> {
  const { encode } = await import('fast-png');
  const plain = Buffer.from(encode({ ...image, depth: 8, channels: 3 }));
  const headerEnd = SIGNATURE.length + 12 + plain.readUInt32BE(SIGNATURE.length);
  const texts = Object.entries(text).map(([keyword, value]) => chunk('iTXt', internationalText(keyword, value)));
  return Buffer.concat([plain.subarray(0, headerEnd), ...texts, plain.subarray(headerEnd)]);
}

/** Pixels of an 8-bit PNG without its alpha. @throws InvalidInput for anything else */
export async function decodePng(bytes: Uint8Array): Promise<Rgb8> {
  const { decode } = await import('fast-png');
  let image: ReturnType<typeof decode>;
  try {
    image = decode(bytes, { checkCrc: true });
  } catch (cause) {
    throw new RefereeError('InvalidInput', `not a PNG that can be read: ${String(cause)}`, { cause });
  }
  const { width, height, depth, channels, data } = image;
  if (depth !== 8 || channels < 3) {
    throw new RefereeError('InvalidInput', `PNG must be 8-bit RGB, found ${channels} channels of ${depth} bits`);
  }
  const rgb = new Uint8Array(3 * width * height);
  for (let p = 0; p < width * height; p++) {
    for (let c = 0; c < 3; c++) rgb[3 * p + c] = data[channels * p + c]!;
  }
  return { width, height, data: rgb };
}

/**
 * Text of a PNG by keyword: `iTXt`, `tEXt` and `zTXt`. Of a repeated keyword the first counts.
 * @throws InvalidInput for a file that is not a whole PNG
 */
export function readPngText(bytes: Uint8Array): Record<string, string> {
  const found = new Map<string, string>();
  for (const { type, data } of chunks(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))) {
    const entry = textOf(type, data);
    if (entry && !found.has(entry[0])) found.set(...entry);
  }
  return Object.fromEntries(found);
}

function* chunks(bytes: Buffer): Generator<Chunk> {
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) throw new RefereeError('InvalidInput', 'not a PNG file');
  for (let at = SIGNATURE.length; at + 12 <= bytes.length;) {
    const end = at + 12 + bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (end > bytes.length) break;
    if (crc32(bytes.subarray(at + 4, end - 4)) !== bytes.readUInt32BE(end - 4)) {
      throw new RefereeError(
        'InvalidInput',
        `PNG is damaged: checksum of chunk ${quoted(type)} at byte ${at} is wrong`,
      );
    }
    yield { type, data: bytes.subarray(at + 8, end - 4) };
    if (type === 'IEND') return;
    at = end;
  }
  throw new RefereeError('InvalidInput', `PNG is cut off after ${bytes.length} bytes: no IEND chunk`);
}

function textOf(type: string, data: Buffer): [keyword: string, text: string] | undefined {
  if (type !== 'iTXt' && type !== 'tEXt' && type !== 'zTXt') return undefined;
  const keywordEnd = terminator(data, 0);
  const keyword = data.toString('latin1', 0, keywordEnd);
  switch (type) {
    case 'tEXt':
      return [keyword, data.toString('latin1', keywordEnd + 1)];
    case 'zTXt':
      return [keyword, inflated(data.subarray(keywordEnd + 2)).toString('latin1')];
    case 'iTXt': {
      const isCompressed = data[keywordEnd + 1] === 1;
      const languageEnd = terminator(data, keywordEnd + 3);
      const text = data.subarray(terminator(data, languageEnd + 1) + 1);
      return [keyword, (isCompressed ? inflated(text) : text).toString('utf8')];
    }
  }
}

function terminator(data: Buffer, from: number): number {
  const at = data.indexOf(0, from);
  if (at < 0) throw new RefereeError('InvalidInput', 'PNG is damaged: text chunk without a keyword');
  return at;
}

function inflated(data: Buffer): Buffer {
  try {
    return inflateSync(data, { maxOutputLength: TEXT_LIMIT_BYTES });
  } catch (cause) {
    throw new RefereeError('InvalidInput', `PNG text cannot be decompressed to at most ${TEXT_LIMIT_BYTES} bytes`, {
      cause,
    });
  }
}

/** Keyword, no compression, no language, no translated keyword, UTF-8 text. */
function internationalText(keyword: string, text: string): Buffer {
  if (!/^[!-~](?:[ -~]{0,77}[!-~])?$/.test(keyword)) {
    throw new RefereeError('Internal', `PNG keyword must be 1 to 79 printable characters, found ${quoted(keyword)}`);
  }
  // A zero would end the text for readers that follow the specification.
  return Buffer.concat([
    Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'),
    Buffer.from(text.replaceAll('\0', ' '), 'utf8'),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
