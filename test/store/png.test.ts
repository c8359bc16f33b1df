import { deflateSync } from 'node:zlib';

import { loadImage, createCanvas } from '@napi-rs/canvas';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { toRgb8 } from '../../store/pixels.ts';
import type { Rgb8 } from '../../store/pixels.ts';
import { decodePng, encodePng, readPngText } from '../../store/png.ts';
import { DIGITAL_SOURCE_TYPE, provenanceText } from '../../store/provenance.ts';
import { encodeWebp } from '../../store/webp.ts';

const image: Rgb8 = { width: 5, height: 3, data: Uint8Array.from({ length: 45 }, (_, i) => (i * 37) % 256) };

const provenance = {
  prompt: 'a "red" <circle> & Ωд 🟥',
  negative: 'blurry',
  seed: 7,
  method: 'search',
  width: 5,
  height: 3,
  item: 'i0',
  pack: { name: 'shapes', digest: 'a'.repeat(64) },
  settings: { steps: 64, guidance: 10 },
  version: '0.1.0',
};

/** Pixels as Skia's decoder sees them, a reader that shares no code with ours. */
async function seenBySkia(bytes: Uint8Array): Promise<number[]> {
  const decoded = await loadImage(Buffer.from(bytes));
  const context = createCanvas(decoded.width, decoded.height).getContext('2d');
  context.drawImage(decoded, 0, 0);
  return [...context.getImageData(0, 0, decoded.width, decoded.height).data].filter((_, i) => i % 4 !== 3);
}

describe('pixels', () => {
  test('survive, for our reader and for another', async () => {
    const png = await encodePng(image, { note: 'x' });
    expect(await decodePng(png)).toEqual(image);
    expect(await seenBySkia(png)).toEqual([...image.data]);
  });

  test('come from planes of 0..1, clamped and rounded', () => {
    const planes = Float32Array.of(0, 0.5, /**/ 1, 1.5, /**/ -1, 2 / 255);
    expect(toRgb8(planes, 2, 1)).toEqual({ width: 2, height: 1, data: Uint8Array.of(0, 255, 0, 128, 255, 2) });
    expect(() => toRgb8(planes, 3, 1)).toThrow('needs 9 values, found 6');
  });

  test('same input, same bytes', async () => {
    expect(await encodePng(image, { a: 'b' })).toEqual(await encodePng(image, { a: 'b' }));
  });
});

describe('text', () => {
  test('of any characters comes back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.stringMatching(/^[!-~]{1,79}$/), fc.string({ unit: 'grapheme' }), async (keyword, text) => {
        const expected = text.replaceAll('\0', ' ');
        expect(readPngText(await encodePng(image, { [keyword]: text }))[keyword]).toBe(expected);
      }),
      { numRuns: 50 },
    );
  });

  test.each(['', ' x', 'é', 'x'.repeat(80), 'a\0b'])('keyword %j is refused', async (keyword) => {
    await expect(encodePng(image, { [keyword]: 'x' })).rejects.toThrow('PNG keyword must be');
  });

  test('that other programs have compressed is read, a bomb is not', async () => {
    const png = Buffer.from(await encodePng(image, { 'to-replace': 'x'.repeat(100) }));
    const withText = (body: Buffer): Buffer => replaceText(png, body);
    expect(
      readPngText(withText(Buffer.concat([Buffer.from('k\0\x01\0\0\0'), deflateSync(Buffer.from('Grüße'))]))),
    ).toEqual({ k: 'Grüße' });
    const bomb = deflateSync(Buffer.alloc(50_000_000));
    expect(() => readPngText(withText(Buffer.concat([Buffer.from('k\0\x01\0\0\0'), bomb])))).toThrow(
      'cannot be decompressed',
    );
    expect(() => readPngText(withText(Buffer.from('no terminator')))).toThrow('without a keyword');
  });

  test('of a damaged or foreign file is one line', async () => {
    const png = Buffer.from(await encodePng(image, { note: 'x' }));
    for (let length = 0; length < png.length; length++) {
      expect(() => readPngText(png.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'InvalidInput' }) as Error,
      );
    }
    png[45]! ^= 1;
    expect(() => readPngText(png)).toThrow('checksum of chunk "iTXt" at byte 33 is wrong');
  });
});

describe('provenance', () => {
  test('is in every PNG: settings, the line of other viewers, the mark', async () => {
    const text = readPngText(await encodePng(image, provenanceText(provenance)));
    expect(Object.keys(text)).toEqual(['XML:com.adobe.xmp', 'parameters', 'referee']);
    expect(JSON.parse(text['referee']!)).toEqual({ v: 1, ...provenance });
    expect(text['parameters']).toBe(
      'a "red" <circle> & Ωд 🟥\nNegative prompt: blurry\n' +
        'Steps: 64, Sampler: referee search, CFG scale: 10, Seed: 7, Size: 5x3, Model hash: aaaaaaaaaa, Model: shapes, Version: referee 0.1.0',
    );
    const xmp = text['XML:com.adobe.xmp']!;
    expect(xmp).toContain(`Iptc4xmpExt:DigitalSourceType="${DIGITAL_SOURCE_TYPE}"`);
    expect(xmp).toContain('a &quot;red&quot; &lt;circle&gt; &amp; Ωд 🟥');
  });

  test('has no characters that XML forbids', () => {
    const xmp = provenanceText({ ...provenance, prompt: 'a\u0000b\u0008c\uFFFFd\uD800e\tf' })['XML:com.adobe.xmp']!;
    expect(xmp).toContain('>a b c d e\tf<');
  });

  test('is in previews too, in a form that decoders accept', async () => {
    const flat: Rgb8 = { width: 17, height: 9, data: new Uint8Array(17 * 9 * 3).fill(200) };
    const webp = Buffer.from(await encodeWebp(flat, provenanceText(provenance)['XML:com.adobe.xmp']!));
    expect(webp.readUInt32LE(4)).toBe(webp.length - 8);
    expect(webp.toString('latin1', 12, 16)).toBe('VP8X');
    expect(webp.includes(DIGITAL_SOURCE_TYPE)).toBe(true);
    const seen = await seenBySkia(webp);
    expect(seen).toHaveLength(17 * 9 * 3);
    expect(seen.every((value) => Math.abs(value - 200) <= 3)).toBe(true); // lossy
  });
});

/** The file with the body of its first text chunk replaced, checksum made anew by zlib's own means. */
function replaceText(png: Buffer, body: Buffer): Buffer {
  const at = 33;
  const oldEnd = at + 12 + png.readUInt32BE(at);
  const chunk = Buffer.alloc(12 + body.length);
  chunk.writeUInt32BE(body.length);
  chunk.write('iTXt', 4, 'latin1');
  body.copy(chunk, 8);
  chunk.writeUInt32BE(bitwiseCrc(chunk.subarray(4, 8 + body.length)), 8 + body.length);
  return Buffer.concat([png.subarray(0, at), chunk, png.subarray(oldEnd)]);
}

/** CRC-32 of ISO 3309, bit by bit: PNG specification, annex D. */
function bitwiseCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
