/**
 * @file Text that images carry, read by what their formats say (PNG, third edition, 5.3 and 11.3.3; RFC 9649, 2.7) and by
 * nothing of the code that wrote it.
 */

/** `iTXt` of a PNG by keyword. Only texts without compression are expected. */
export function pngTexts(png: Buffer): Record<string, string> {
  const texts: Record<string, string> = {};
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) !== 'iTXt') continue;
    const data = png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
    // Keyword, 0, compression flag, compression method, language, 0, translated keyword, 0, text.
    const keyword = data.subarray(0, data.indexOf(0));
    const flag = data[keyword.length + 1];
    const languageEnd = data.indexOf(0, keyword.length + 3);
    const text = data.subarray(data.indexOf(0, languageEnd + 1) + 1);
    if (flag !== 0) throw new Error(`compressed text ${keyword.toString('latin1')}`);
    texts[keyword.toString('latin1')] = text.toString('utf8');
  }
  return texts;
}

/** Chunks of a WebP file by their four letters. */
export function webpChunks(webp: Buffer): Record<string, Buffer> {
  const chunks: Record<string, Buffer> = {};
  for (let at = 12; at < webp.length;) {
    const size = webp.readUInt32LE(at + 4);
    chunks[webp.toString('latin1', at, at + 4)] = webp.subarray(at + 8, at + 8 + size);
    at += 8 + size + (size % 2);
  }
  return chunks;
}
