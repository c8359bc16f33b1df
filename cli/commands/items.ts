/**
 * @file `referee items`: the items of a run, each with its state, from the store.
 */
import type { Command } from 'commander';

import { RefereeError } from '../../errors.ts';
import { asRunId } from '../../store/layout.ts';
import type { Context } from '../context.ts';
import { choiceFlag } from '../flags.ts';
import { addRemoteFlags, printDocument, withRemote } from '../remote.ts';
import type { RemoteFlags } from '../remote.ts';
import { oneLine } from '../render.ts';

const STATES = ['queued', 'running', 'done', 'failed', 'cancelled', 'rejected'] as const;

interface ItemsFlags extends RemoteFlags {
  readonly state?: string;
}

/** An item of the run, or a line that cannot be one. */
interface Listed {
  readonly state: (typeof STATES)[number];
  readonly item?: string;
  readonly index?: number;
  readonly id?: string;
  /** Steps done. */
  readonly step?: number;
  readonly prompt?: string;
  readonly seed?: number;
  readonly scores?: Readonly<Record<string, number>>;
  readonly error?: { readonly message: string };
  /** Why it was rejected. */
  readonly message?: string;
}

/** Of an item that its batch has given up while the store was away or full. */
const UNRECORDED = {
  code: 'StoreUnavailable',
  message: 'given up; the reason could not be written to the store: referee retry goes on with it',
};

const HELP = `
Examples:
  referee items r0123456789ab
  referee items r0123456789ab --state failed
  referee items r0123456789ab --json | jq -r '.items[] | select(.state == "done") | .item'`;

export function configureItems(command: Command, context: Context): void {
  addRemoteFlags(command.argument('<run>', 'id of a run'), context)
    .addOption(choiceFlag('state', STATES, 'only items of this state'))
    .addHelpText('after', HELP)
    .action(async (run: string, flags: ItemsFlags) => items(run, flags, context));
}

async function items(id: string, flags: ItemsFlags, context: Context): Promise<void> {
  await withRemote(flags, context, async ({ remote, store }) => {
    const [{ describeBatch }, { phaseOf }, { countedAs, storedItems }, { readRejections }, { readRun }] =
      await Promise.all([
        import('../../remote/batches.ts'),
        import('../../remote/status.ts'),
        import('../../remote/store-counts.ts'),
        import('../../activities/rejections.ts'),
        import('../../store/run.ts'),
      ]);
    const run = asRunId(id);
    if (!(await readRun(store, run))) {
      throw new RefereeError('NotFound', `run ${run} is not in the store ${store.root}`, {
        hint: '--store names another store',
        details: { run },
      });
    }
    const phase = phaseOf(await describeBatch(remote, run));
    const listed: Listed[] = [];
    const tell = (item: Listed): void => {
      if (flags.state !== undefined && item.state !== flags.state) return;
      if (flags.json === true) listed.push(item);
      else context.stdout.write(`${itemLine(item)}\n`);
    };
    for await (const item of storedItems(store, run)) {
      const { index, item: name, prompt, seed, id: own } = item.row;
      const named = { item: name, index, ...(own !== undefined && { id: own }) };
      const state = countedAs(item, phase);
      const { scores, error } = item.result ?? (state === 'failed' ? { error: UNRECORDED } : {});
      const outcome = { ...(scores && { scores }), ...(error && { error }) };
      tell({ ...named, state, step: item.step, prompt, seed, ...outcome });
    }
    for (const rejection of await readRejections(store, run)) tell({ ...rejection });
    if (flags.json === true) printDocument(context, { run, items: listed });
  });
}

function itemLine({ item = '-', id, state, step, prompt, scores = {}, error, message }: Listed): string {
  const numbers = Object.entries(scores).map(([name, score]) => `${name} ${score.toFixed(3)}`);
  const parts = [
    item,
    state.padEnd(9),
    ...(step === undefined ? [] : [`step ${step}`]),
    ...(id === undefined ? [] : [id]),
    ...numbers,
    ...(prompt === undefined ? [] : [prompt]),
    ...(error?.message === undefined ? [] : [error.message]),
    ...(message === undefined ? [] : [message]),
  ];
  return oneLine(parts.join('  '));
}
