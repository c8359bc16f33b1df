/**
 * @file `referee doctor`: whether this machine, its pack, its store and its server can do what runs need, each finding with
 * what to do about it.
 */
import type { Command } from 'commander';

import { DEFAULT_LANES } from '../../activities/defaults.ts';
import type { Finding, FindingState } from '../../activities/doctor/finding.ts';
import { worstState } from '../../activities/doctor/finding.ts';
import type { Examined } from '../../activities/doctor/examine.ts';
import { ERROR_CODES, RefereeError } from '../../errors.ts';
import { defaultStore } from '../asked.ts';
import type { Context } from '../context.ts';
import { choiceFlag, wholeFlag } from '../flags.ts';
import { onInterrupt } from '../interrupt.ts';
import type { Interrupt } from '../interrupt.ts';
import type { Provider } from '../providers.ts';
import { PROVIDERS } from '../providers.ts';
import { addServerFlags, printDocument } from '../remote.ts';
import { oneLine, ReportedError } from '../render.ts';

interface DoctorFlags {
  readonly store: string;
  readonly pack: string;
  readonly provider: Provider;
  readonly threads?: number;
  readonly lanes: number;
  readonly benchmark?: boolean;
  readonly address?: string;
  readonly namespace?: string;
  readonly temporalProfile?: string;
  readonly json?: boolean;
}

const HELP = `
The store is written to, with probes that are deleted again. A server of batches that is not there is a warning, unless
--address names one. Every provider of this system is tested with a step of the pack; --provider tests one alone.

--benchmark measures start-up, steps of one search and of --lanes, and memory, and keeps them in the user's cache folder
(~/.cache/referee/benchmarks): runs with the same pack, provider and number of threads say how long they will take.

Exit codes: 0 no finding is an error; 2 one is; 75 all that are errors may pass by themselves, such as a store that does
not answer; 5 a server refuses the credentials.

Examples:
  referee doctor
  referee doctor --store s3://bucket/runs --address temporal:7233
  referee doctor --benchmark --threads 4
  referee doctor --json | jq '.findings[] | select(.state != "ok")'`;

export function configureDoctor(command: Command, context: Context): void {
  addServerFlags(
    command
      .option('--store <store>', 'folder or URL that runs will use', defaultStore(context))
      .option('--pack <name>', 'name of a pack, or its folder', 'shapes')
      .addOption(choiceFlag('provider', PROVIDERS, 'what is tested').default('auto'))
      .addOption(wholeFlag('threads', { min: 1, max: 1024 }, 'of the CPU (default: one per core)'))
      .addOption(wholeFlag('lanes', { min: 1, max: 256 }, 'searches that share the device').default(DEFAULT_LANES))
      .option('--benchmark', 'measure this machine, for estimates'),
  )
    .option('--json', 'one JSON document on standard output')
    .addHelpText('after', HELP)
    .action(async (flags: DoctorFlags) => doctor(flags, context));
}

async function doctor(flags: DoctorFlags, context: Context): Promise<void> {
  const { json = false } = flags;
  const findings: Finding[] = [];
  const onFinding = (finding: Finding): void => {
    findings.push(finding);
    if (!json) context.stdout.write(findingText(finding));
  };
  if (flags.benchmark === true && !json) context.stderr.write('measuring this machine, about a minute\n');
  const examined = await interruptible(context, (signal) => checkAll(flags, context, { signal, onFinding }));
  const { benchmark } = examined;
  if (json) printDocument(context, { state: worstState(findings), findings, ...(benchmark && { benchmark }) });
  throwOnErrors(findings);
}

interface Checking {
  readonly signal: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
}

async function checkAll(flags: DoctorFlags, context: Context, checking: Checking): Promise<Examined> {
  const { examine } = await import('../../activities/doctor/examine.ts');
  const { benchmark: isMeasured = false, pack, provider, threads, lanes, store } = flags;
  const examined = await examine({
    ...checking,
    pack,
    provider,
    threads,
    lanes,
    store,
    isMeasured,
    cache: context.cache,
  });
  checking.signal.throwIfAborted();
  const { checkServer } = await import('../../remote/check-server.ts');
  const { address, namespace, temporalProfile: profile } = flags;
  const { temporal } = context.environment;
  const isNamed = address !== undefined;
  // Where nobody has named a server one of this machine is looked for, which answers at once.
  const patience = isNamed || temporal || profile !== undefined ? {} : { connectSeconds: 2 };
  await checkServer({
    settings: { address, namespace, profile, ...(temporal && { env: temporal }), ...patience },
    isNeeded: isNamed,
    packDigest: examined.packDigest,
    onFinding: checking.onFinding,
  });
  return examined;
}

/** @throws RefereeError Interrupted after Ctrl-C, when the probes of the store are gone */
async function interruptible<T>({ stderr }: Context, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  using interrupt: Interrupt = onInterrupt({
    onFirst: () => void stderr.write('stopping after the check under way\n'),
  });
  try {
    return await work(interrupt.signal);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    const details = interrupt.received === undefined ? {} : { signal: interrupt.received };
    throw new RefereeError('Interrupted', 'interrupted: not everything was checked', { details });
  }
}

const LABELS: Readonly<Record<FindingState, string>> = { ok: 'ok', warning: 'warning', error: 'error' };
const WIDTH = 9;

/** `ok       versions: referee 0.1.0 ...`, and the fix below it. */
export function findingText({ name, state, found, fix }: Finding): string {
  const lines = [`${LABELS[state].padEnd(WIDTH)}${name}: ${oneLine(found)}`];
  if (fix !== undefined) lines.push(`${' '.repeat(WIDTH)}fix: ${oneLine(fix)}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** The code that all errors share, or that of a machine that is not ready. */
function throwOnErrors(findings: readonly Finding[]): void {
  const codes = findings.filter(({ state }) => state === 'error').map(({ code = 'NotReady' }) => code);
  const [first] = codes;
  if (first === undefined) return;
  const isAlike = new Set(codes.map((code) => ERROR_CODES[code].exit)).size === 1;
  const message = `${codes.length} of ${findings.length} findings ${codes.length === 1 ? 'is an error' : 'are errors'}`;
  const { hint } = ERROR_CODES.NotReady;
  throw new ReportedError(new RefereeError(isAlike ? first : 'NotReady', message, { hint }));
}
