import { loadImage } from '@napi-rs/canvas';
import { describe, expect, test } from 'vitest';

import { SHEET_CELLS_MAX, encodeContactSheet, wrapped } from '../../store/contact-sheet.ts';
import { decodePng, readPngText } from '../../store/png.ts';

const flat = (value: number) => ({ width: 4, height: 4, data: new Uint8Array(48).fill(value) });

describe('a contact sheet', () => {
  test('has one cell per image, in order, and labels', async () => {
    const cells = [10, 60, 110, 160, 210].map((value) => ({
      image: flat(value),
      label: 'a red circle',
      note: 'seed 7',
    }));
    const bytes = await encodeContactSheet(cells, { referee: '{}' }, 3);
    const { width, height, data } = await decodePng(bytes);
    expect(width).toBe(12 + 3 * (192 + 12));
    const { height: seen } = await loadImage(Buffer.from(bytes));
    expect(seen).toBe(height);
    const cellHeight = (height - 12) / 2;
    for (const [i, cell] of cells.entries()) {
      const [x, y] = [12 + (i % 3) * 204, 12 + Math.floor(i / 3) * cellHeight];
      const at = (dx: number, dy: number): number => data[3 * ((y + dy) * width + x + dx)]!;
      expect([at(0, 0), at(100, 100), at(191, 191)]).toEqual(Array(3).fill(cell.image.data[0]));
      const label = Array.from({ length: 192 * 60 }, (_, p) => at(p % 192, 193 + Math.floor(p / 192)));
      expect(label.filter((value) => value < 100).length).toBeGreaterThan(50);
    }
    expect(readPngText(bytes)['referee']).toBe('{}');
  });

  test('keeps long notes inside of their cells', async () => {
    const note =
      'seed 12345  match 0.94  judge 1.00  recall 1.00  and more than two lines of it could hold, so that some is left out';
    const { width, data } = await decodePng(await encodeContactSheet([{ label: 'x', note }, { label: 'x' }], {}, 2));
    const [from, below] = [12 + 192, 12 + 192 + 4];
    const between = Array.from(
      { length: 12 * 90 },
      (_, p) => data[3 * ((below + Math.floor(p / 12)) * width + from + (p % 12))],
    );
    expect(new Set(between)).toEqual(new Set([255]));
  });

  test('draws letters of its own font: Latin and Cyrillic differ, no boxes', async () => {
    const sheets = await Promise.all(['илл', 'ЖЖЖ', 'łłł', 'ooo'].map((label) => encodeContactSheet([{ label }])));
    expect(new Set(sheets.map((bytes) => Buffer.from(bytes).toString('base64'))).size).toBe(4);
  });

  test.each([0, SHEET_CELLS_MAX + 1])('of %d images is refused', async (count) => {
    const cells = Array.from({ length: count }, () => ({ label: 'x' }));
    await expect(encodeContactSheet(cells)).rejects.toMatchObject({ code: 'InvalidInput' });
  });
});

describe('labels', () => {
  const fits = (line: string): boolean => line.length <= 10;
  test.each([
    ['short', ['short']],
    ['one two three', ['one two', 'three']],
    ['  many\n\nspaces  ', ['many', 'spaces']],
    ['a bb ccc dddd eeeee ffffff ggggggg', ['a bb ccc', 'dddd eeeee', 'ffffff…']],
    ['abcdefghijklmnopqrstuvwxyz', ['abcdefghij', 'klmnopqrst', 'uvwxyz']],
    ['', []],
  ])('%j wraps to %j', (text, lines) => {
    expect(wrapped(text, fits, 3)).toEqual(lines);
  });

  test('never split a character', () => {
    expect(wrapped('🟥'.repeat(40), fits, 3).join('')).toBe(`${'🟥'.repeat(14)}…`);
  });
});
