/**
 * @file Contact sheet: all images of a run on one PNG, with their prompts under them.
 * The font comes with the package, so that a sheet looks the same on a server without fonts.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type * as Canvas from '@napi-rs/canvas';

import { RefereeError } from '../errors.ts';
import { encodePng } from './png.ts';
import { toRgba8 } from './pixels.ts';
import type { Rgb8 } from './pixels.ts';

export interface SheetCell {
  /** Absent for an item without an image: its cell stays empty, its label is shown. */
  readonly image?: Rgb8;
  /** Usually the prompt. Wrapped, and cut after three lines. */
  readonly label: string;
  /** A second label under it, such as seed and scores. Wrapped, and cut after two lines. */
  readonly note?: string;
}

/** Above it a sheet is no longer looked at, and does not fit into memory at 512 pixels. */
export const SHEET_CELLS_MAX = 400;

const PACKAGE = '@fontsource/pt-sans/files';
/** One file per part of Unicode; each becomes a family, and text takes the first family that has the character. */
const FONTS = ['latin', 'latin-ext', 'cyrillic', 'cyrillic-ext'].map((part) => ({
  family: `referee ${part}`,
  file: `${PACKAGE}/pt-sans-${part}-400-normal.woff2`,
}));

const FONT_SIZE = 13;
const LINE_HEIGHT = 17;
const LABEL_LINES = 3;
const NOTE_LINES = 2;
const GAP = 12;
const IMAGE_SIDE = 192;
const COLOURS = { paper: '#ffffff', ink: '#1a1a1a', faint: '#767676', empty: '#eeeeee' };

/**
 * @param columns images side by side; by default about as many as rows
 * @throws InvalidInput for no cells or more than SHEET_CELLS_MAX
 */
export async function encodeContactSheet(
  cells: readonly SheetCell[],
  text: Readonly<Record<string, string>> = {},
  columns = Math.min(8, Math.ceil(Math.sqrt(cells.length))),
): Promise<Uint8Array> {
  if (cells.length < 1 || cells.length > SHEET_CELLS_MAX) {
    throw new RefereeError(
      'InvalidInput',
      `a contact sheet holds 1 to ${SHEET_CELLS_MAX} images, found ${cells.length}`,
    );
  }
  const { createCanvas, ImageData, GlobalFonts } = await import('@napi-rs/canvas');
  registerFonts(GlobalFonts);
  const cellHeight = IMAGE_SIDE + (LABEL_LINES + NOTE_LINES) * LINE_HEIGHT + GAP;
  const width = GAP + columns * (IMAGE_SIDE + GAP);
  const height = GAP + Math.ceil(cells.length / columns) * cellHeight;
  const context = createCanvas(width, height).getContext('2d');
  context.fillStyle = COLOURS.paper;
  context.fillRect(0, 0, width, height);
  context.font = `${FONT_SIZE}px ${FONTS.map(({ family }) => `"${family}"`).join(', ')}`;
  context.textBaseline = 'top';
  for (const [i, cell] of cells.entries()) {
    const x = GAP + (i % columns) * (IMAGE_SIDE + GAP);
    const y = GAP + Math.floor(i / columns) * cellHeight;
    context.fillStyle = COLOURS.empty;
    if (!cell.image) context.fillRect(x, y, IMAGE_SIDE, IMAGE_SIDE);
    else drawImage(context, cell.image, { x, y, createCanvas, ImageData });
    drawLabel(context, cell, x, y + IMAGE_SIDE + 4);
  }
  return encodePng({ width, height, data: withoutAlpha(context.getImageData(0, 0, width, height).data) }, text);
}

interface Place extends Pick<typeof Canvas, 'createCanvas' | 'ImageData'> {
  readonly x: number;
  readonly y: number;
}

function drawImage(context: Canvas.SKRSContext2D, image: Rgb8, { x, y, createCanvas, ImageData }: Place): void {
  const { width, height } = image;
  const tile = createCanvas(width, height);
  tile.getContext('2d').putImageData(new ImageData(toRgba8(image), width, height), 0, 0);
  const scale = IMAGE_SIDE / Math.max(width, height);
  // Small images are shown as the pixels they are.
  context.imageSmoothingEnabled = scale < 1;
  context.drawImage(tile, x, y, width * scale, height * scale);
}

function drawLabel(context: Canvas.SKRSContext2D, { label, note }: SheetCell, x: number, y: number): void {
  const fits = (line: string): boolean => context.measureText(line).width <= IMAGE_SIDE;
  const labels = wrapped(label, fits, LABEL_LINES);
  const notes = wrapped(note ?? '', fits, NOTE_LINES);
  for (const [i, line] of [...labels, ...notes].entries()) {
    context.fillStyle = i < labels.length ? COLOURS.ink : COLOURS.faint;
    context.fillText(line, x, y + i * LINE_HEIGHT);
  }
}

/** At most `limit` lines that fit; what is left out shows as an ellipsis. Words longer than a line are broken. */
export function wrapped(text: string, fits: (line: string) => boolean, limit: number): string[] {
  const lines: string[] = [];
  let rest = text.replace(/\s+/g, ' ').trim();
  while (rest !== '' && lines.length < limit) {
    const isLast = lines.length === limit - 1;
    if (fits(rest)) return [...lines, rest];
    const suffix = isLast ? '…' : '';
    let end = longestPrefix(rest, (line) => fits(line + suffix));
    const space = rest.lastIndexOf(' ', end);
    if (space > 0) end = space;
    lines.push(rest.slice(0, end) + suffix);
    rest = rest.slice(end).trimStart();
  }
  return lines;
}

/** Length of the longest prefix that fits, at least one character, never half of a surrogate pair. */
function longestPrefix(text: string, fits: (line: string) => boolean): number {
  let end = 0;
  for (const character of text) {
    if (end > 0 && !fits(text.slice(0, end + character.length))) break;
    end += character.length;
  }
  return end;
}

function registerFonts(fonts: typeof Canvas.GlobalFonts): void {
  const { resolve } = createRequire(import.meta.url);
  for (const { family, file } of FONTS) {
    if (fonts.has(family)) continue;
    if (!fonts.register(readFileSync(resolve(file)), family)) {
      throw new RefereeError('Internal', `the font ${file} cannot be used`);
    }
  }
}

function withoutAlpha(rgba: Uint8ClampedArray): Uint8Array {
  const pixels = rgba.length / 4;
  const rgb = new Uint8Array(3 * pixels);
  for (let p = 0; p < pixels; p++) rgb.set(rgba.subarray(4 * p, 4 * p + 3), 3 * p);
  return rgb;
}
