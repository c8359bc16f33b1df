import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { Progress, duration } from '../../cli/progress.ts';
import { ProgressState } from '../../cli/progress-state.ts';
import type { PlanEvent, RunEvent } from '../../activities/run-contract.ts';

const plan: PlanEvent = {
  type: 'plan',
  run: 'r1',
  folder: 'runs/r1',
  items: 4,
  skipped: 1,
  continued: 1,
  started: 2,
  pack: { name: 'shapes', version: '1.0.0', digest: 'd' },
  provider: 'cpu',
  threads: 2,
  plan: 'fused',
  lanes: 2,
  memoryBytes: 3e8,
  secondsExpected: 70,
  steps: 100,
};

const of = (item: string) => ({ run: 'r1', item, index: 0, prompt: `prompt of ${item}`, seed: 7 });
const start = (item: string): RunEvent => ({ type: 'start', ...of(item), step: 0, steps: 64 });
const step = (item: string, n: number): RunEvent => ({
  type: 'step',
  ...of(item),
  step: n,
  steps: 64,
  losses: { itm: 0.5 },
});

describe('the state', () => {
  test('a steady rate is measured exactly, and the time left follows from it', () => {
    const state = new ProgressState();
    state.apply(plan, 0);
    state.apply(start('a'), 10);
    for (let n = 1; n <= 40; n++) state.apply(step('a', n), 10 + n / 4);
    expect(state.rate).toBeCloseTo(4, 6);
    expect(state.secondsLeft).toBeCloseTo(60 / 4, 6);
    expect(state.fraction).toBeCloseTo(0.4, 12);
  });

  test('says nothing about the time left before it knows', () => {
    const state = new ProgressState();
    state.apply(plan, 0);
    state.apply(start('a'), 0);
    state.apply(step('a', 1), 2.9);
    expect([state.rate, state.secondsLeft]).toEqual([undefined, undefined]);
    for (let n = 2; n <= 4; n++) state.apply(step('a', n), 4);
    expect(state.rate).toBeUndefined();
    state.apply(step('a', 5), 5);
    expect(state.rate).toBeCloseTo(1, 0);
  });

  test('a change of pace shows after some seconds', () => {
    const state = new ProgressState();
    state.apply(plan, 0);
    state.apply(start('a'), 0);
    for (let n = 1; n <= 20; n++) state.apply(step('a', n), n);
    for (let n = 1; n <= 400; n++) state.apply(step('a', 20 + n), 20 + n / 10);
    expect(state.rate).toBeGreaterThan(9);
  });

  test('lanes come and go, items are counted', () => {
    const state = new ProgressState();
    for (const event of [plan, start('a'), start('b'), step('a', 1)]) state.apply(event, 1);
    state.apply({ type: 'preview', ...of('a'), step: 1, path: 'p.webp' }, 1);
    expect(state.lanes).toMatchObject([
      { item: 'a', step: 1, preview: 'p.webp', losses: { itm: 0.5 } },
      { item: 'b', step: 0 },
    ]);
    state.apply({ type: 'done', ...of('a'), path: 'x', scores: {} }, 2);
    state.apply({ type: 'failed', ...of('b'), error: { code: 'NonFinite', message: 'm' } }, 2);
    expect([state.lanes, state.finished, state.failed, state.items]).toEqual([[], 3, 1, 4]);
  });
});

describe('what is shown', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function shown(environment: { isInteractive: boolean; hasColour: boolean; columns: number }): {
    text: () => string;
    progress: Progress;
  } {
    let text = '';
    const stderr = { write: (piece: string) => ((text += piece), true) };
    return { text: () => text, progress: new Progress({ ...environment, stderr, now: () => Date.now() / 1000 }) };
  }

  test('without a terminal: the plan, then one plain line every 30 s, none when nothing happens', () => {
    const { text, progress } = shown({ isInteractive: false, hasColour: false, columns: 80 });
    progress.onEvent(plan);
    progress.onEvent(start('a'));
    for (let n = 1; n <= 29; n++) {
      vi.advanceTimersByTime(1000);
      progress.onEvent(step('a', n));
    }
    expect(text()).toBe(
      'pack    shapes 1.0.0\ndevice  cpu, 2 threads, plan fused, 2 lanes, about 300 MB\n' +
        'run     runs/r1: 4 images (1 done, 1 go on, 2 start), about 1 min 10 s\n',
    );
    vi.advanceTimersByTime(1000);
    expect(text().split('\n').slice(3)).toEqual(['1/4 images, 29 %, 1.0 steps/s, 1 min 11 s left', '']);
    vi.advanceTimersByTime(120_000);
    expect(text().split('\n')).toHaveLength(5);
    progress[Symbol.dispose]();
    expect(text()).not.toContain('\u001B');
  });

  test('on a terminal: a bar and a line per lane, redrawn in place, no line wider than the terminal, gone at the end', () => {
    const { text, progress } = shown({ isInteractive: true, hasColour: false, columns: 60 });
    progress.onEvent(plan);
    progress.onEvent({
      type: 'start',
      ...of('a'),
      prompt: 'a very long prompt \u001B[31m with an escape',
      step: 0,
      steps: 64,
    });
    progress.onEvent(step('a', 1));
    vi.advanceTimersByTime(100);
    const screen = rendered(text());
    expect(screen).toHaveLength(5);
    expect(screen[3]).toBe('[                        ] 1 %  1/4 images');
    expect(screen[4]).toMatch(/^ {2}prompt of a #7 {2}1\/64 {2}itm 0\.500$/);
    expect(text()).not.toContain('\u001B[31m');
    for (const line of screen) expect(line.length).toBeLessThan(61 + 20);
    progress.onEvent({ type: 'note', message: 'a checkpoint\nwas damaged' });
    expect(rendered(text())[3]).toBe('note: a checkpoint was damaged');
    progress[Symbol.dispose]();
    expect(rendered(text())).toHaveLength(4);
  });

  test('no more lanes than fit', () => {
    const { text, progress } = shown({ isInteractive: true, hasColour: true, columns: 60 });
    progress.onEvent(plan);
    for (let i = 0; i < 12; i++) progress.onEvent(start(`i${i}`));
    vi.advanceTimersByTime(100);
    const screen = rendered(text());
    expect(screen).toHaveLength(3 + 1 + 8 + 1);
    expect(screen.at(-1)).toContain('and 4 more');
    progress[Symbol.dispose]();
  });
});

/** What a terminal shows after this text: it knows "cursor up n, erase below" and colours alone. */
function rendered(text: string): string[] {
  const lines: string[] = [];
  for (const [, up, line] of text.replaceAll('\u001B', '^').matchAll(/\^\[(\d+)A\^\[0J|([^\n]*)\n/g)) {
    if (up !== undefined) lines.length -= Number(up);
    else lines.push(line!.replaceAll(/\^\[\d+m/g, ''));
  }
  return lines;
}

test.each([
  [0.2, '1 s'],
  [59.5, '1 min 0 s'],
  [250, '4 min 10 s'],
  [12_000, '3 h 20 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
