/**
 * @file Previews: small WebP files that carry the synthetic-media mark as well.
 * The canvas writes the simple form of the format; text needs the extended one (RFC 9649, section 2.7), which is the same
 * image chunk behind a `VP8X` chunk and followed by an `XMP ` chunk.
 */
import { RefereeError } from '../errors.ts';
import { toRgba8 } from './pixels.ts';
import type { Rgb8 } from './pixels.ts';

/** Good enough to watch an image form, about 1 kB at 64 pixels and 25 kB at 512. */
const QUALITY = 80;

const XMP_FLAG = 0x04;

/** `xmp` is a packet as provenance.ts makes it. */
export async function encodeWebp(image: Rgb8, xmp: string): Promise<Uint8Array> {
  const { createCanvas, ImageData } = await import('@napi-rs/canvas');
  const { width, height } = image;
  const canvas = createCanvas(width, height);
  canvas.getContext('2d').putImageData(new ImageData(toRgba8(image), width, height), 0, 0);
  return withXmp(await canvas.encode('webp', QUALITY), { width, height, xmp });
}

function withXmp(simple: Buffer, { width, height, xmp }: { width: number; height: number; xmp: string }): Uint8Array {
  const isWebp = simple.toString('latin1', 0, 4) === 'RIFF' && simple.toString('latin1', 8, 12) === 'WEBP';
  const first = simple.toString('latin1', 12, 16);
  if (!isWebp || (first !== 'VP8 ' && first !== 'VP8L')) {
    throw new RefereeError('Internal', `WebP encoder wrote chunk "${first}" first, expected "VP8 " or "VP8L"`);
  }
  const header = Buffer.alloc(10);
  header[0] = XMP_FLAG;
  header.writeUIntLE(width - 1, 4, 3);
  header.writeUIntLE(height - 1, 7, 3);
  const body = Buffer.concat([
    Buffer.from('WEBP', 'latin1'),
    chunk('VP8X', header),
    simple.subarray(12),
    chunk('XMP ', Buffer.from(xmp, 'utf8')),
  ]);
  return chunk('RIFF', body);
}

/** Type, length, data, and a zero where the length is odd. */
function chunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(data.length);
  return Buffer.concat([Buffer.from(type, 'latin1'), length, data, Buffer.alloc(data.length % 2)]);
}
