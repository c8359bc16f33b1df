/**
 * @file How times of a step's calls on both sides are written down.
 */
import { median } from '../machine.ts';
import type { PyTorchMode } from '../pytorch.ts';

/** Who computes: this side, or PyTorch in one of its ways. */
export type Side = 'here' | PyTorchMode;

/**
 * A line of the table.
 *
 * @param flops of one call, by this side's graph
 * @param times seconds of every call, by side
 * @param peak of the machine, FLOP/s, if it is known
 */
export function printRow(
  what: string,
  flops: number,
  times: Readonly<Record<Side, readonly number[]>>,
  peak: number | undefined,
): void {
  const ratio = (side: Side, of: (values: readonly number[]) => number): string =>
    times[side].length === 0 ? '-' : (of(times[side]) / of(times.here)).toFixed(2);
  const smallest = (values: readonly number[]): number => Math.min(...values);
  const cells = [
    what,
    (flops / 1e9).toFixed(2),
    ...(['here', 'eager', 'compile'] as const).map((side) => spread(times[side])),
    ratio('eager', median),
    ratio('eager', smallest),
    ratio('compile', median),
    peak === undefined ? '-' : `${((100 * flops) / median(times.here) / peak).toFixed(0)} %`,
  ];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return '-';
  const ms = (value: number): string => (1000 * value).toFixed(1);
  return `${ms(median(values))} ms (${ms(Math.min(...values))} - ${ms(Math.max(...values))})`;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

export function seconds(value: number): string {
  return `${value.toFixed(2)} s`;
}

export function gigaflops(value: number): string {
  return `${Math.round(value / 1e9)} GFLOP/s`;
}

export function megabytes(count: number): string {
  return `${Math.round(count / 1e6)} MB`;
}
