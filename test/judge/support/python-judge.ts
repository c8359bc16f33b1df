/** @file The pictures of `test/fixtures/judge` with what the judge in Python saw in them. */
import { readFileSync } from 'node:fs';

import { decode } from 'fast-png';

import { fixturePath } from '../../support/fixtures.ts';

export interface PythonDetection {
  readonly colour: string;
  readonly shape: string;
  readonly x: number;
  readonly y: number;
  readonly area: number;
  readonly overlap: number;
  readonly colourDistance: number;
  readonly ok: boolean;
}

export interface PythonVerdict {
  readonly prompt: string;
  readonly strict: boolean;
  readonly objects: boolean;
  readonly contains: boolean;
  readonly recall: number;
}

export interface PythonCase {
  readonly kind: string;
  readonly detections: readonly PythonDetection[];
  readonly verdicts: readonly PythonVerdict[];
  /** Bytes [64, 64, 3]. */
  readonly pixels: Uint8Array;
}

export function pythonCases(): PythonCase[] {
  const expected = JSON.parse(readFileSync(fixturePath('judge/expected.json'), 'utf8')) as Omit<PythonCase, 'pixels'>[];
  const { data, width, channels } = decode(readFileSync(fixturePath('judge/pictures.png')));
  if (channels !== 3) throw new Error(`the sheet has ${channels} channels`);
  const columns = width / 64;
  return expected.map((item, i) => {
    const start = (Math.floor(i / columns) * 64 * width + (i % columns) * 64) * 3;
    const pixels = new Uint8Array(64 * 64 * 3);
    for (let row = 0; row < 64; row += 1) {
      pixels.set(data.subarray(start + row * width * 3, start + (row * width + 64) * 3), row * 64 * 3);
    }
    return { ...item, pixels };
  });
}
