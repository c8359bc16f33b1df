/**
 * @file The picture of a roofline: both axes logarithmic, roofs as lines, a mark for each class of operators whose area is
 * its share of the step's time.
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

const [WIDTH, HEIGHT] = [960, 620];
const MARGIN = { left: 78, right: 28, top: 56, bottom: 64 };
/** Smaller classes would hide each other. */
const SMALLEST_SHARE = 0.01;
const LABELLED_SHARE = 0.03;
/** Radius of a class that takes the whole step. */
const FULL_RADIUS = 42;
const COLOURS = ['#2a78d6', '#d95f02', '#1a1a6e', '#7a7a7a'];
const INK = '#222222';

/** @returns the text of an SVG file */
export function drawRoofline(peak: MachinePeak, steps: readonly RooflineStep[]): string {
  const shown = steps.map(({ label, classes }) => ({
    label,
    classes: classes.filter(({ flops, share }) => flops > 0 && share >= SMALLEST_SHARE),
  }));
  const all = shown.flatMap(({ classes }) => classes);
  const intensities = all.map(({ flops, bytes }) => flops / bytes);
  const rates = all.map(({ flops, seconds }) => flops / seconds / 1e9);
  const x = axis([Math.min(0.05, ...intensities), Math.max(300, ...intensities)], [MARGIN.left, WIDTH - MARGIN.right]);
  const y = axis([Math.min(1, ...rates), (2 * peak.flops) / 1e9], [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const place = ({ flops, bytes, seconds }: ClassTime): Point => ({
    x: x.at(flops / bytes),
    y: y.at(flops / seconds / 1e9),
  });

  const roof = (bandwidth: number): string => {
    const [from, knee] = [x.range[0], peak.flops / bandwidth];
    const points = [
      [x.at(from), y.at((bandwidth * from) / 1e9)],
      [x.at(knee), y.at(peak.flops / 1e9)],
      [x.at(x.range[1]), y.at(peak.flops / 1e9)],
    ];
    return points.map((point) => point.map(round).join(',')).join(' ');
  };
  const marks = shown.flatMap(({ classes }, step) =>
    classes.map((of) => {
      const { x: cx, y: cy } = place(of);
      const r = FULL_RADIUS * Math.sqrt(of.share);
      return `<circle cx="${round(cx)}" cy="${round(cy)}" r="${round(r)}" fill="${COLOURS[step]}" fill-opacity="0.55" stroke="${COLOURS[step]}"/>`;
    }),
  );
  const labels = placeLabels(
    shown.flatMap(({ classes }, step) =>
      classes
        .filter(({ share }) => share >= LABELLED_SHARE)
        .map((of) => ({
          text: `${of.name} ${(100 * of.share).toFixed(0)} %`,
          colour: COLOURS[step]!,
          at: place(of),
          radius: FULL_RADIUS * Math.sqrt(of.share),
        })),
    ),
  );
  const legend = shown.map(({ label }, step) => {
    const top = MARGIN.top + 18 + 22 * step;
    return (
      `<circle cx="${MARGIN.left + 20}" cy="${top - 4}" r="7" fill="${COLOURS[step]}" fill-opacity="0.55" stroke="${COLOURS[step]}"/>` +
      text({ x: MARGIN.left + 34, y: top }, label, { size: 13 })
    );
  });
  const slope = (-Math.atan2(y.at(1) - y.at(10), x.at(10) - x.at(1)) * 180) / Math.PI;
  const alongRoof = (bandwidth: number, words: string): string => {
    const at = x.range[0] * 2.2;
    const point = { x: x.at(at), y: y.at((bandwidth * at) / 1e9) - 8 };
    return text(point, words, { size: 12, turn: slope });
  };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="'PT Sans', 'Helvetica Neue', Arial, sans-serif">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text({ x: MARGIN.left, y: 30 }, 'Search steps under the roofs of one thread, float32', { size: 18, weight: 700 }),
    ...grid(x, y),
    `<polyline points="${roof(peak.cache)}" fill="none" stroke="#888888" stroke-width="1.5" stroke-dasharray="6 4"/>`,
    `<polyline points="${roof(peak.bandwidth)}" fill="none" stroke="${INK}" stroke-width="2.5"/>`,
    alongRoof(peak.bandwidth, `memory ${(peak.bandwidth / 1e9).toFixed(0)} GB/s`),
    alongRoof(peak.cache, `last cache ${(peak.cache / 1e9).toFixed(0)} GB/s`),
    text(
      { x: WIDTH - MARGIN.right - 6, y: y.at(peak.flops / 1e9) - 8 },
      `FMA peak ${(peak.flops / 1e9).toFixed(0)} GFLOP/s`,
      {
        size: 12,
        anchor: 'end',
      },
    ),
    ...marks,
    ...labels,
    ...legend,
    '</svg>\n',
  ].join('\n');
}

interface Axis {
  readonly range: readonly [number, number];
  readonly at: (value: number) => number;
}

function axis(range: readonly [number, number], [from, to]: readonly [number, number]): Axis {
  const [low, high] = [Math.log10(range[0]), Math.log10(range[1])];
  return { range, at: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from) };
}

/** Lines at powers of ten, with their numbers, and what the axes mean. */
function grid(x: Axis, y: Axis): string[] {
  const line = (from: Point, to: Point): string =>
    `<line x1="${round(from.x)}" y1="${round(from.y)}" x2="${round(to.x)}" y2="${round(to.y)}" stroke="#e4e4e4"/>`;
  const [left, right, top, bottom] = [MARGIN.left, WIDTH - MARGIN.right, MARGIN.top, HEIGHT - MARGIN.bottom];
  return [
    ...powers(x.range).flatMap((value) => [
      line({ x: x.at(value), y: top }, { x: x.at(value), y: bottom }),
      text({ x: x.at(value), y: bottom + 20 }, String(value), { size: 12, anchor: 'middle' }),
    ]),
    ...powers(y.range).flatMap((value) => [
      line({ x: left, y: y.at(value) }, { x: right, y: y.at(value) }),
      text({ x: left - 8, y: y.at(value) + 4 }, String(value), { size: 12, anchor: 'end' }),
    ]),
    text({ x: (left + right) / 2, y: HEIGHT - 18 }, 'operations per byte that a node reads and writes', {
      size: 14,
      anchor: 'middle',
    }),
    text({ x: 24, y: (top + bottom) / 2 }, 'GFLOP/s', { size: 14, anchor: 'middle', turn: -90 }),
  ];
}

function powers([low, high]: readonly [number, number]): number[] {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  return Array.from({ length: last - first + 1 }, (_, at) => Number(`1e${first + at}`));
}

interface Label {
  readonly text: string;
  readonly colour: string;
  readonly at: Point;
  readonly radius: number;
}

/** Beside their marks, the higher ones first; a label that would lie on another moves down. */
function placeLabels(labels: readonly Label[]): string[] {
  const [size, letter] = [12, 6.2];
  const taken: { readonly left: number; readonly right: number; readonly y: number }[] = [];
  return [...labels]
    .sort((a, b) => a.at.y - b.at.y)
    .map(({ text: words, colour, at, radius }) => {
      const width = letter * words.length;
      const isLeft = at.x + radius + 6 + width > WIDTH - MARGIN.right;
      const left = isLeft ? at.x - radius - 6 - width : at.x + radius + 6;
      let y = at.y + 4;
      while (taken.some((other) => left < other.right && left + width > other.left && Math.abs(y - other.y) < size + 2))
        y += 3;
      taken.push({ left, right: left + width, y });
      return text({ x: isLeft ? left + width : left, y }, words, { size, colour, anchor: isLeft ? 'end' : 'start' });
    });
}

interface TextStyle {
  readonly size: number;
  readonly weight?: number;
  readonly colour?: string;
  readonly anchor?: 'start' | 'middle' | 'end';
  /** Degrees, about its place. */
  readonly turn?: number;
}

function text(
  { x, y }: Point,
  words: string,
  { size, weight, colour = INK, anchor = 'start', turn }: TextStyle,
): string {
  const attributes = [
    `x="${round(x)}" y="${round(y)}" font-size="${size}" fill="${colour}" text-anchor="${anchor}"`,
    weight === undefined ? '' : ` font-weight="${weight}"`,
    turn === undefined ? '' : ` transform="rotate(${round(turn)} ${round(x)} ${round(y)})"`,
  ];
  return `<text ${attributes.join('')}>${words}</text>`;
}

function round(value: number): number {
  return Math.round(100 * value) / 100;
}
