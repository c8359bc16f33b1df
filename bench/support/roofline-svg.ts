/**
 * @file The picture of a roofline: a panel for each step, both axes logarithmic, roofs as lines, a mark for each class of
 * operators whose area is its share of the step's time.
 */
import type { MachinePeak } from './machine-peak.ts';
import type { ClassTime } from './operator-classes.ts';

export interface RooflineStep {
  readonly label: string;
  readonly classes: readonly ClassTime[];
}

interface Point {
  readonly x: number;
  readonly y: number;
}

const PANEL = { width: 336, height: 400, gap: 16 };
const MARGIN = { left: 64, right: 16, top: 84, bottom: 62 };
/** Operations per byte, GFLOP/s. */
const RANGES = { x: [0.04, 800], y: [1, 600] } as const;
/** Smaller classes are left out. */
const SMALLEST_SHARE = 0.005;
/** Radius of a class that takes the whole step. */
const FULL_RADIUS = 30;
const [INK, MARK, LABEL_SIZE, LETTER] = ['#222222', '#2a78d6', 11.5, 5.9];

/** @returns the text of an SVG file */
export function drawRoofline(peak: MachinePeak, steps: readonly RooflineStep[]): string {
  const width = MARGIN.left + steps.length * (PANEL.width + PANEL.gap) - PANEL.gap + MARGIN.right;
  const height = MARGIN.top + PANEL.height + MARGIN.bottom;
  const roofs = `FMA peak ${(peak.flops / 1e9).toFixed(0)} GFLOP/s; memory ${(peak.bandwidth / 1e9).toFixed(0)} GB/s (line), last cache ${(peak.cache / 1e9).toFixed(0)} GB/s (dashes)`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="'PT Sans', 'Helvetica Neue', Arial, sans-serif">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text({ x: MARGIN.left, y: 26 }, 'Search steps under the roofs of one thread, float32', { size: 18, weight: 700 }),
    text({ x: MARGIN.left, y: 46 }, `${roofs}. Areas of marks: shares of a step's time.`, { size: 12.5 }),
    ...steps.flatMap((step, at) =>
      panel(peak, step, { left: MARGIN.left + at * (PANEL.width + PANEL.gap), isFirst: at === 0 }),
    ),
    text({ x: width / 2, y: height - 14 }, 'operations per byte that nodes read and write', {
      size: 13,
      anchor: 'middle',
    }),
    text({ x: 18, y: MARGIN.top + PANEL.height / 2 }, 'GFLOP/s', { size: 13, anchor: 'middle', turn: -90 }),
    '</svg>\n',
  ].join('\n');
}

function panel(peak: MachinePeak, step: RooflineStep, { left, isFirst }: { left: number; isFirst: boolean }): string[] {
  const [right, top, bottom] = [left + PANEL.width, MARGIN.top, MARGIN.top + PANEL.height];
  const x = axis(RANGES.x, [left, right]);
  const y = axis(RANGES.y, [bottom, top]);
  const line = (from: Point, to: Point): string =>
    `<line x1="${round(from.x)}" y1="${round(from.y)}" x2="${round(to.x)}" y2="${round(to.y)}" stroke="#e4e4e4"/>`;
  const roof = (bandwidth: number): string =>
    [
      // Where the slope enters the panel: at its left or its lower side.
      ...[Math.max(RANGES.x[0], (RANGES.y[0] * 1e9) / bandwidth), peak.flops / bandwidth].map((at) => [
        x(at),
        y((bandwidth * at) / 1e9),
      ]),
      [right, y(peak.flops / 1e9)],
    ]
      .map((point) => point.map(round).join(','))
      .join(' ');
  const marks = step.classes
    .filter(({ flops, share }) => flops > 0 && share >= SMALLEST_SHARE)
    .map(({ name, flops, bytes, seconds, share }): Mark => {
      const at = { x: x(flops / bytes), y: y(flops / seconds / 1e9) };
      return { text: `${name} ${(100 * share).toFixed(0)} %`, at, radius: FULL_RADIUS * Math.sqrt(share) };
    });
  const moved = step.classes.filter(({ flops }) => flops === 0).reduce((total, { share }) => total + share, 0);
  return [
    ...powers(RANGES.x).flatMap((value) => [
      line({ x: x(value), y: top }, { x: x(value), y: bottom }),
      text({ x: x(value), y: bottom + 18 }, String(value), { size: 12, anchor: 'middle' }),
    ]),
    ...powers(RANGES.y).flatMap((value) => [
      line({ x: left, y: y(value) }, { x: right, y: y(value) }),
      ...(isFirst ? [text({ x: left - 8, y: y(value) + 4 }, String(value), { size: 12, anchor: 'end' })] : []),
    ]),
    `<polyline points="${roof(peak.cache)}" fill="none" stroke="#888888" stroke-width="1.5" stroke-dasharray="6 4"/>`,
    `<polyline points="${roof(peak.bandwidth)}" fill="none" stroke="${INK}" stroke-width="2.2"/>`,
    ...marks.map(
      ({ at, radius }) =>
        `<circle cx="${round(at.x)}" cy="${round(at.y)}" r="${round(radius)}" fill="${MARK}" fill-opacity="0.6" stroke="${MARK}"/>`,
    ),
    ...placeLabels(marks, right),
    text({ x: left, y: top - 10 }, step.label, { size: 14, weight: 700 }),
    text({ x: right - 6, y: bottom - 10 }, `movement, no operations: ${(100 * moved).toFixed(0)} %`, {
      size: LABEL_SIZE,
      anchor: 'end',
    }),
  ];
}

function axis(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
): (value: number) => number {
  return (value) => from + (Math.log10(value / low) / Math.log10(high / low)) * (to - from);
}

function powers([low, high]: readonly [number, number]): number[] {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  return Array.from({ length: last - first + 1 }, (_, at) => Number(`1e${first + at}`));
}

interface Mark {
  readonly text: string;
  readonly at: Point;
  readonly radius: number;
}

/** To the right of their marks, or below where there is no room; from the top down, each below what is there already. */
function placeLabels(marks: readonly Mark[], right: number): string[] {
  const taken: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number }[] =
    marks.map(({ at, radius }) => ({
      left: at.x - radius,
      right: at.x + radius,
      top: at.y - radius,
      bottom: at.y + radius,
    }));
  return [...marks]
    .sort((a, b) => a.at.y - b.at.y)
    .map(({ text: words, at, radius }) => {
      const width = LETTER * words.length;
      const isBelow = at.x + radius + 4 + width > right;
      const left = isBelow ? right - 4 - width : at.x + radius + 4;
      let top = isBelow ? at.y + radius + 2 : at.y - LABEL_SIZE / 2;
      const isFree = (): boolean =>
        taken.every(
          (box) => left + width < box.left || left > box.right || top + LABEL_SIZE < box.top || top > box.bottom,
        );
      while (!isFree()) top += 2;
      taken.push({ left, right: left + width, top, bottom: top + LABEL_SIZE });
      return text({ x: left, y: top + LABEL_SIZE - 2 }, words, { size: LABEL_SIZE });
    });
}

interface TextStyle {
  readonly size: number;
  readonly weight?: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  /** Degrees, about its place. */
  readonly turn?: number;
}

function text({ x, y }: Point, words: string, { size, weight, anchor = 'start', turn }: TextStyle): string {
  const attributes = [
    `x="${round(x)}" y="${round(y)}" font-size="${size}" fill="${INK}" text-anchor="${anchor}"`,
    weight === undefined ? '' : ` font-weight="${weight}"`,
    turn === undefined ? '' : ` transform="rotate(${round(turn)} ${round(x)} ${round(y)})"`,
  ];
  return `<text ${attributes.join('')}>${words}</text>`;
}

function round(value: number): number {
  return Math.round(100 * value) / 100;
}
