/**
 * @file Previews: small WebP files that carry the synthetic-media mark as well.
 * Text needs the extended form of the format (RFC 9649, section 2.7): the image chunks behind a `VP8X` chunk, which says
 * that there is text, and before an `XMP ` chunk. The canvas may write the extended form or the simple one.
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

function withXmp(file: Buffer, { width, height, xmp }: { width: number; height: number; xmp: string }): Uint8Array {
  const [riff, webp, first] = [0, 8, 12].map((at) => file.toString('latin1', at, at + 4));
  if (riff !== 'RIFF' || webp !== 'WEBP') throw new RefereeError('Internal', 'the WebP encoder wrote another format');
  const isExtended = first === 'VP8X';
  const header = Buffer.alloc(10);
  header[0] = XMP_FLAG | (isExtended ? file[20]! : 0);
  header.writeUIntLE(width - 1, 4, 3);
  header.writeUIntLE(height - 1, 7, 3);
  const imageChunks = file.subarray(isExtended ? 30 : 12);
  const text = chunk('XMP ', Buffer.from(xmp, 'utf8'));
  return chunk('RIFF', Buffer.concat([Buffer.from('WEBP', 'latin1'), chunk('VP8X', header), imageChunks, text]));
}

/** Type, length, data, and a zero where the length is odd. */
function chunk(type: string, data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(data.length);
  return Buffer.concat([Buffer.from(type, 'latin1'), length, data, Buffer.alloc(data.length % 2)]);
}
