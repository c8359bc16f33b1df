/**
 * @file `referee verify`: proves that a finished run is whole and is what its prompts make.
 */
import type { Command } from 'commander';

import type { FailedItem, Fault } from '../../activities/verify/report.ts';
import type { Verification } from '../../activities/verify/verify-run.ts';
import { isRefereeError, RefereeError } from '../../errors.ts';
import { asRunId } from '../../store/layout.ts';
import { openStore } from '../../store/open-store.ts';
import { defaultStore } from '../asked.ts';
import type { Context } from '../context.ts';
import { choiceFlag, invalidFlag, wholeFlag } from '../flags.ts';
import { onInterrupt } from '../interrupt.ts';
import { PROVIDERS } from '../providers.ts';
import type { Provider } from '../providers.ts';
import { Pulse } from '../pulse.ts';
import { printDocument } from '../remote.ts';
import { oneLine, ReportedError } from '../render.ts';

interface VerifyFlags {
  readonly store: string;
  readonly replay: number | 'all';
  readonly pack?: string;
  readonly provider?: Provider;
  readonly threads?: number;
  readonly lanes?: number;
  readonly json?: boolean;
}

/** Faults and failed items of the document that --json prints; more are counted. */
const LISTED = 10_000;

const HELP = `
Looked at: every item of prompts/ is there once, the manifest has each once, in order, as result.json has it; every digest
is that of its bytes; every file can be read to its end; nothing is there that is of no run. Then items are searched again
from nothing and must come to the same bytes, where this machine computes as the one did that made them.

Exit codes: 0 all right; 2 the run is not finished; 3 something is wrong, or items of the run have failed; 4 no such run.

Examples:
  referee verify r0123456789ab
  referee verify r0123456789ab --store s3://bucket/runs --replay 10
  referee verify r0123456789ab --replay 0 --json | jq -r '.faults[] | .key'`;

export function configureVerify(command: Command, context: Context): void {
  command
    .argument('<run>', 'id of a run')
    .option('--store <store>', 'folder or URL of the runs (default: REFEREE_STORE)', defaultStore(context))
    .option('--replay <k>', 'items to search again, spread over the run, or all', replayOf, 1)
    .option('--pack <name>', 'name of the pack of the run, or its folder (default: the name in run.json)')
    .addOption(choiceFlag('provider', PROVIDERS, 'what computes (default: what made most of the pictures)'))
    .addOption(wholeFlag('threads', { min: 1, max: 1024 }, 'of the device (default: one per core)'))
    .addOption(wholeFlag('lanes', { min: 1, max: 256 }, 'searches that share the device'))
    .option('--json', 'one JSON document on standard output')
    .addHelpText('after', HELP)
    .action(async (run: string, flags: VerifyFlags) => verify(run, flags, context));
}

function replayOf(text: string): number | 'all' {
  if (text === 'all') return text;
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw invalidFlag('replay', 'a whole number, 0 for none, or all', text);
}

async function verify(id: string, flags: VerifyFlags, context: Context): Promise<void> {
  const run = asRunId(id);
  const { verifyRun } = await import('../../activities/verify/verify-run.ts');
  const { json = false, replay, pack, provider, threads, lanes } = flags;
  const store = openStore(flags.store);
  const found: Listed = { faults: [], failed: [] };
  const pulse = new Pulse(context);
  const interrupt = onInterrupt({ onFirst: () => pulse.say('stops at the next object or step') });
  try {
    const verification = await verifyRun({
      ...{ store, run, replay, pack, provider, threads, lanes },
      signal: interrupt.signal,
      onFault: (fault) => {
        if (!json) pulse.print(() => context.stdout.write(`${faultLine(fault)}\n`));
        else if (found.faults.length < LISTED) found.faults.push(fault);
      },
      onFailed: (item) => {
        if (found.failed.length < LISTED) found.failed.push(item);
      },
      onNote: (message) => pulse.say(message),
      onProgress: (done, items) => pulse.at(`${done} of ${items} items looked at`),
      onReplay: (done, of) => pulse.at(`${done} of ${of} items searched again`),
    });
    pulse.clear();
    if (json) printDocument(context, { ...verification, ...found });
    else
      context.stdout.write(
        tableOf(verification, found)
          .map((line) => `${line}\n`)
          .join(''),
      );
    throwUnlessRight(verification, json);
  } catch (error) {
    if (!isRefereeError(error) || error.code !== 'Interrupted' || !interrupt.received) throw error;
    throw new RefereeError('Interrupted', error.message, { details: { signal: interrupt.received } });
  } finally {
    interrupt[Symbol.dispose]();
    pulse[Symbol.dispose]();
  }
}

interface Listed {
  readonly faults: Fault[];
  readonly failed: FailedItem[];
}

function faultLine({ key, what }: Fault): string {
  return oneLine(`fault     ${key}: ${what}`);
}

function tableOf({ run, store, record, counts, replayed }: Verification, { failed }: Listed): string[] {
  const { items, succeeded, unfinished, manifestLines, files, bytes, specs, images, latents, checkpoints, faults } =
    counts;
  const pack = record ? `pack ${record.pack.name} ${record.pack.version}` : 'run.json cannot be read';
  const open = unfinished > 0 ? `, ${unfinished} without a result` : '';
  return [
    `run       ${run} in ${store}: ${items} ${items === 1 ? 'item' : 'items'}, ${pack}`,
    `items     ${succeeded} succeeded, ${counts.failed} failed${open}`,
    `manifest  ${manifestLines} lines in order and as the results have them`,
    `files     ${files} read, ${(bytes / 1e6).toFixed(1)} MB`,
    `digests   right: ${images} pictures, ${specs} specs, ${latents} latents, ${checkpoints} checkpoints`,
    `replayed  ${replayText(replayed)}`,
    ...failed.map(({ item, code }) => `failed    items/${item}: ${code}`),
    ...(counts.failed > failed.length ? [`failed    and ${counts.failed - failed.length} more`] : []),
    `faults    ${faults === 0 ? 'none' : faults}`,
  ].map(oneLine);
}

function replayText({ asked, searched, same, deviceClass, note }: Verification['replayed']): string {
  if (asked === 0) return 'none was asked for';
  const device = deviceClass === undefined ? '' : ` on ${deviceClass}`;
  const counts = searched === 0 ? 'none' : `${same} of ${searched} have the same bytes, searched from nothing${device}`;
  return note === undefined ? counts : `${counts}; ${note}`;
}

function throwUnlessRight({ run, counts }: Verification, isReported: boolean): void {
  const error = errorOf(run, counts);
  if (error) throw isReported ? new ReportedError(error) : error;
}

function errorOf(run: string, { items, unfinished, failed, faults }: Verification['counts']): RefereeError | undefined {
  const wrong = `${faults} ${faults === 1 ? 'fault' : 'faults'}`;
  if (unfinished > 0) {
    const besides = faults > 0 ? `, and ${wrong}` : '';
    return new RefereeError(
      'RunUnfinished',
      `run ${run} is not finished: ${unfinished} of ${items} items have no result${besides}`,
      {
        hint: `referee resume ${run}, or the referee run that began it, goes on`,
      },
    );
  }
  if (faults > 0) return new RefereeError('RunDamaged', `run ${run}: ${wrong}`);
  if (failed > 0) return new RefereeError('ItemsFailed', `run ${run} is whole; ${failed} of ${items} items failed`);
  return undefined;
}
