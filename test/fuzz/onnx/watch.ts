/**
 * @file Watches processes that open hostile files: one that hangs or dies takes a case with it, which is a bug, and another
 * process goes on behind it.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a process says of a case. */
export type CaseReport =
  | { readonly index: number; readonly state: 'begun' }
  | {
      readonly index: number;
      readonly state: 'ended';
      readonly outcome: string;
      readonly problem: string | undefined;
      /** Of the processor, not of the clock: others use this machine, too. */
      readonly seconds: number;
      /** Largest resident size of the process during the case. */
      readonly megabytes: number;
    };

export interface Bug {
  readonly index: number;
  readonly problem: string;
}

export interface Limits {
  /** Of the processor, for one case. */
  readonly seconds: number;
  readonly megabytes: number;
}

export interface Campaign {
  readonly seed: number;
  readonly first: number;
  readonly end: number;
  /** Of `prepareFolder`. */
  readonly folder: string;
  readonly limits: Limits;
  readonly onCase?: (index: number) => void;
  readonly onBug?: (bug: Bug) => void;
}

export interface CampaignResult {
  readonly outcomes: Readonly<Record<string, number>>;
  readonly bugs: readonly Bug[];
  readonly slowest: { readonly index: number; readonly seconds: number };
  readonly largest: { readonly index: number; readonly megabytes: number };
}

/** By the clock; a case has this many times its processor seconds before it counts as hanging. */
const PATIENCE = 4;

/** Opens the cases from `first` to `end`. */
export async function runCampaign(campaign: Campaign): Promise<CampaignResult> {
  const outcomes: Record<string, number> = {};
  const bugs: Bug[] = [];
  const note = (bug: Bug): void => {
    bugs.push(bug);
    campaign.onBug?.(bug);
  };
  let slowest = { index: -1, seconds: 0 };
  let largest = { index: -1, megabytes: 0 };
  let next = campaign.first;
  while (next < campaign.end) {
    const lost = await watch(campaign, next, (report) => {
      next = report.index + 1;
      campaign.onCase?.(report.index);
      const { index, outcome, problem, seconds, megabytes } = report;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (seconds > slowest.seconds) slowest = { index, seconds };
      if (megabytes > largest.megabytes) largest = { index, megabytes };
      const found = problem ?? overLimit(report, campaign.limits);
      if (found !== undefined) note({ index, problem: found });
    });
    if (lost === undefined) continue;
    note({ index: next, problem: lost });
    next += 1;
  }
  return { outcomes, bugs, slowest, largest };
}

type Ended = Extract<CaseReport, { state: 'ended' }>;

function overLimit({ seconds, megabytes }: Ended, limits: Limits): string | undefined {
  if (seconds > limits.seconds) return `took ${seconds.toFixed(1)} s, at most ${limits.seconds} are allowed`;
  if (megabytes > limits.megabytes) return `took ${Math.round(megabytes)} MB, at most ${limits.megabytes} are allowed`;
  return undefined;
}

/** One process, until it is through or to be replaced (undefined), or lost. */
async function watch(
  { seed, end, folder, limits }: Campaign,
  first: number,
  onEnded: (report: Ended) => void,
): Promise<string | undefined> {
  const child: ChildProcess = fork(
    fileURLToPath(new URL('child.ts', import.meta.url)),
    [seed, first, end, folder].map(String),
    { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  );
  const ended = { isHanging: false, isReplaced: false };
  let done = first;
  let timer: NodeJS.Timeout | undefined;
  child.on('message', (report: CaseReport) => {
    clearTimeout(timer);
    if (report.state === 'begun') {
      timer = setTimeout(
        () => {
          ended.isHanging = true;
          child.kill('SIGKILL');
        },
        PATIENCE * limits.seconds * 1000,
      );
    } else {
      done = report.index + 1;
      onEnded(report);
      // What it holds would count against the next cases.
      if (report.megabytes > limits.megabytes) {
        ended.isReplaced = true;
        child.kill('SIGKILL');
      }
    }
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  if (ended.isHanging) return `hangs: no end after ${PATIENCE * limits.seconds} s`;
  if (ended.isReplaced || (done >= end && code === 0)) return undefined;
  return `the process ended: ${signal ?? `exit code ${code}`}`;
}
