// What both examples share: PNG files as tensors [1, 3, height, width] between -1 and 1, and back.
import { readFile, writeFile } from 'node:fs/promises';

import { decode, encode } from 'fast-png';

export async function readPicture(path) {
  const { width, height, channels, data } = decode(await readFile(path));
  const plane = width * height;
  const values = Float32Array.from({ length: 3 * plane }, (_, at) => {
    const [channel, pixel] = [Math.floor(at / plane), at % plane];
    return (data[pixel * channels + Math.min(channel, channels - 1)] / 255) * 2 - 1;
  });
  return { width, height, values };
}

export async function writePicture(path, { width, height, values }) {
  const plane = width * height;
  const data = Uint8Array.from({ length: 3 * plane }, (_, at) => {
    const [pixel, channel] = [Math.floor(at / 3), at % 3];
    return Math.max(0, Math.min(255, Math.round((values[channel * plane + pixel] + 1) * 127.5)));
  });
  await writeFile(path, encode({ width, height, channels: 3, data }));
}
