/**
 * @file Progress on stderr: redrawn lines on a terminal (one for the run, one per lane), otherwise a line every 30 s.
 */
import { stripVTControlCharacters, styleText } from 'node:util';

import type { PlanEvent, RunEvent } from '../activities/run-contract.ts';
import type { Environment } from './config.ts';
import { ProgressState } from './progress-state.ts';
import type { LaneProgress } from './progress-state.ts';
import type { Output } from './render.ts';
import { oneLine } from './render.ts';

const REDRAW_MS = 100;
const LINE_MS = 30_000;
const BAR_WIDTH = 24;

/** More lanes than this scroll off a small terminal, and then redrawing breaks. */
const LANES_SHOWN = 8;

export interface ProgressOptions extends Environment {
  readonly stderr: Output['stderr'];
  /** Seconds, of a clock that does not run backwards. */
  readonly now?: () => number;
}

export class Progress implements Disposable {
  readonly #state = new ProgressState();
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #drawnLines = 0;
  #isChanged = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now() / 1000);
    this.#timer = setInterval(() => this.#tick(), options.isInteractive ? REDRAW_MS : LINE_MS);
    this.#timer.unref();
  }

  readonly onEvent = (event: RunEvent): void => {
    this.#state.apply(event, this.#now());
    this.#isChanged = true;
    if (event.type === 'plan') this.#print(planText(event));
    if (event.type === 'note') this.#print([`note: ${oneLine(event.message)}`]);
    if (event.type === 'failed')
      this.#print([`failed: ${shortened(event.prompt, 40)}: ${oneLine(event.error.message)}`]);
  };

  /** A line that stays, above what is redrawn. */
  say(line: string): void {
    this.#print([line]);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #tick(): void {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    if (!this.#options.isInteractive) {
      this.#options.stderr.write(`${summaryLine(this.#state)}\n`);
      return;
    }
    this.#erase();
    this.#draw();
  }

  #print(lines: readonly string[]): void {
    this.#erase();
    this.#options.stderr.write(lines.map((line) => `${line}\n`).join(''));
    if (this.#options.isInteractive) this.#draw();
  }

  #draw(): void {
    const { columns, hasColour, stderr } = this.#options;
    if (this.#state.items === 0) return;
    const lanes = this.#state.lanes;
    const hidden = lanes.length - LANES_SHOWN;
    const lines = [
      barLine(this.#state),
      ...lanes.slice(0, LANES_SHOWN).map((lane) => laneLine(lane, columns)),
      ...(hidden > 0 ? [`  and ${hidden} more`] : []),
    ].map((line) => line.slice(0, columns - 1));
    const [bar, ...rest] = lines;
    const text = hasColour ? [bar!, ...rest.map((line) => styleText('dim', line))] : lines;
    stderr.write(text.map((line) => `${line}\n`).join(''));
    this.#drawnLines = lines.length;
  }

  /** Cursor up, and everything below it gone. */
  #erase(): void {
    if (this.#drawnLines > 0) this.#options.stderr.write(`\u001B[${this.#drawnLines}A\u001B[0J`);
    this.#drawnLines = 0;
  }
}

/** What is going to happen, before it does. */
export function planText(plan: PlanEvent): string[] {
  const parts = [
    ...(plan.skipped > 0 ? [`${plan.skipped} done`] : []),
    ...(plan.continued > 0 ? [`${plan.continued} go on`] : []),
    ...(plan.started > 0 ? [`${plan.started} start`] : []),
  ];
  const images = plan.items === 1 ? '1 image' : `${plan.items} images`;
  const lanes = plan.lanes === 1 ? '1 lane' : `${plan.lanes} lanes`;
  const threads = plan.threads === 1 ? '1 thread' : `${plan.threads} threads`;
  const from = plan.secondsFrom === undefined ? '' : `, ${plan.secondsFrom}`;
  const expected = plan.secondsExpected === undefined ? '' : `, about ${duration(plan.secondsExpected)}${from}`;
  return [
    `pack    ${plan.pack.name} ${plan.pack.version}`,
    `device  ${plan.provider}, ${threads}, plan ${plan.plan}, ${lanes}, about ${Math.ceil(plan.memoryBytes / 1e6)} MB`,
    `run     ${oneLine(plan.folder)}: ${images} (${parts.join(', ')})${expected}`,
  ];
}

function summaryLine(state: ProgressState): string {
  const failed = state.failed > 0 ? `, ${state.failed} failed` : '';
  const preview = state.latestPreview === undefined ? '' : `; newest preview ${state.latestPreview}`;
  return `${state.finished}/${state.items} images${failed}, ${percent(state)}${pace(state)}${preview}`;
}

function barLine(state: ProgressState): string {
  const full = Math.round(state.fraction * BAR_WIDTH);
  const bar = `${'='.repeat(full)}${' '.repeat(BAR_WIDTH - full)}`;
  const failed = state.failed > 0 ? `, ${state.failed} failed` : '';
  return `[${bar}] ${percent(state)}  ${state.finished}/${state.items} images${failed}${pace(state)}`;
}

function percent(state: ProgressState): string {
  // 0.29 is a little less in binary.
  return `${Math.floor(100 * state.fraction + 1e-9)} %`;
}

function pace(state: ProgressState): string {
  const { rate, secondsLeft } = state;
  if (rate === undefined || secondsLeft === undefined) return '';
  return `, ${rate.toPrecision(2)} steps/s, ${duration(secondsLeft)} left`;
}

function laneLine({ prompt, seed, step, steps, losses, preview }: LaneProgress, columns: number): string {
  const numbers = Object.entries(losses).map(([name, loss]) => `${name} ${loss.toFixed(3)}`);
  const left = `  ${shortened(prompt, Math.max(12, Math.floor(columns / 4)))} #${seed}  ${step}/${steps}`;
  return [left, ...numbers, ...(preview === undefined ? [] : [preview])].join('  ');
}

function shortened(text: string, length: number): string {
  const plain = stripVTControlCharacters(oneLine(text));
  return plain.length <= length ? plain : `${plain.slice(0, length - 1)}…`;
}

/** 9 s, 4 min 10 s, 3 h 20 min */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
