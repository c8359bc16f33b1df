/**
 * @file A run over a Temporal server, from a program: prompts given to it, or a run that is there already.
 */
import { z } from 'zod';

import type { Asked } from '../activities/library/asked.ts';
import { isIterable, uniqueItems } from '../activities/library/open-run.ts';
import type { RunPrompt } from '../activities/library/open-run.ts';
import type { PlacedResult } from '../activities/library/run-source.ts';
import { checkSettings, SETTINGS_FIELDS, wholeFrom1 } from '../activities/library/settings.ts';
import type { SearchSettings } from '../activities/library/settings.ts';
import type { RunEvent } from '../activities/run-contract.ts';
import type { RunSpec } from '../activities/specs.ts';
import { RefereeError } from '../errors.ts';
import type { MethodOptions } from '../inversion/options.ts';
import type { Pack } from '../models/packs/resolve.ts';
import { runId } from '../store/ids.ts';
import { asRunId } from '../store/layout.ts';
import type { ItemId, RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { openStore } from '../store/open-store.ts';
import { readPrompts, readRun } from '../store/run.ts';
import type { Remote } from './connection.ts';
import type { Asker } from './follow-results.ts';
import { BatchRun } from './remote-run.ts';
import type { RemoteRun, Wanted } from './remote-run.ts';
import type { Submitted } from './submit.ts';

export interface ConnectSettings extends Pick<SearchSettings, 'pack' | 'checkpointEvery' | 'signal'> {
  /** `host:port` of the server. Default: TEMPORAL_ADDRESS, the profile's, 127.0.0.1:7233. */
  readonly address?: string;
  /** Default: TEMPORAL_NAMESPACE, the profile's, `default`. */
  readonly namespace?: string;
  /** Of `temporal.toml`: address, TLS, key. */
  readonly profile?: string;
  /** Where results and checkpoints are kept: a place that the workers see too. */
  readonly store: string | ObjectStore;
  /**
   * Prompts to search, read whole before anything is sent. The run has the id that `referee run` and `referee submit` would
   * give it: the same prompts again attach to it.
   */
  readonly input?: Iterable<RunPrompt> | AsyncIterable<RunPrompt>;
  /** Instead of `input`: a run that is there. */
  readonly id?: string;
  /** Of the method, for prompts that say nothing else. */
  readonly options?: Partial<MethodOptions>;
  /** Items that are open at one time. Default 500. */
  readonly window?: number;
  /** 2 before other runs, 5 after them. Default 3. */
  readonly priority?: number;
  /** Of one chunk of a search. Default 300. */
  readonly chunkSeconds?: number;
  /** Class of devices whose workers take the run. */
  readonly deviceClass?: string;
  /** Whether previews are stored. Default: for up to 1000 pictures. */
  readonly previews?: boolean;
  /** Told what is worth knowing: that no worker takes the run, that the server is away. */
  readonly onEvent?: (event: RunEvent) => void;
}

const name = z.string({ error: 'text' }).min(1, { error: 'text' });
const PRIORITY = 'a whole number from 2 to 5';
const DEVICE_CLASS = 'of 1 to 32 of a-z, 0-9 and "-"';

const settingsSchema = z.strictObject({
  address: name.optional(),
  namespace: name.optional(),
  profile: name.optional(),
  store: SETTINGS_FIELDS.store.unwrap(),
  pack: SETTINGS_FIELDS.pack,
  checkpointEvery: SETTINGS_FIELDS.checkpointEvery,
  signal: SETTINGS_FIELDS.signal,
  input: z
    .custom<Iterable<RunPrompt> | AsyncIterable<RunPrompt>>(isIterable, { error: 'an iterable of prompts' })
    .optional(),
  id: name.optional(),
  options: z.custom<Partial<MethodOptions>>((value) => typeof value === 'object', { error: 'an object' }).optional(),
  window: wholeFrom1(5000).optional(),
  priority: z.int({ error: PRIORITY }).min(2, { error: PRIORITY }).max(5, { error: PRIORITY }).optional(),
  chunkSeconds: wholeFrom1(3600).optional(),
  deviceClass: z
    .string({ error: DEVICE_CLASS })
    .regex(/^[a-z0-9-]{1,32}$/, { error: DEVICE_CLASS })
    .optional(),
  previews: z.boolean({ error: 'true or false' }).optional(),
  onEvent: z
    .custom<(event: RunEvent) => void>((value) => typeof value === 'function', { error: 'a function' })
    .optional(),
});

type Settings = z.output<typeof settingsSchema>;

/**
 * A run that workers search. With `input` it is begun, or attached to; with `id` it is one that is there.
 *
 * @example
 * await using run = await connect({ address: '127.0.0.1:7233', store: 's3://bucket/runs', input: ['a red circle'] });
 * for await (const result of run.results()) console.log(result.ok ? result.path : result.error.code);
 * @throws RefereeError for settings that are wrong, a pack or a run that is not there, a store that cannot be written, and
 * ServerUnavailable within some seconds. Prompts that cannot be searched are results.
 */
export async function connect(settings: ConnectSettings): Promise<RemoteRun> {
  const checked = checkSettings(settingsSchema, settings, 'connect');
  if ((checked.input === undefined) === (checked.id === undefined)) {
    const found = checked.input === undefined ? 'neither' : 'both';
    throw new RefereeError('InvalidOption', `connect: expected either "input" or "id", found ${found}`);
  }
  const store = typeof checked.store === 'string' ? openStore(checked.store) : checked.store;
  const open = (): Promise<Remote> => openServer(checked);
  const { id } = checked;
  const begun = id === undefined ? await begin(checked, store, open) : await attach(asRunId(id), store);
  const { signal, onEvent } = checked;
  return new BatchRun({ ...begun, store, open, signal, onEvent });
}

async function openServer({ address, namespace, profile }: Settings): Promise<Remote> {
  const { openRemote } = await import('./connection.ts');
  return openRemote({ address, namespace, profile });
}

interface Begun {
  readonly run: RunId;
  readonly wanted: Wanted;
}

/** Resolves all prompts, writes the run, starts its workflows. */
async function begin(settings: Settings, store: ObjectStore, open: () => Promise<Remote>): Promise<Begun> {
  const [{ openWorkplace }, { Resolver }] = await Promise.all([
    import('../activities/library/workplace.ts'),
    import('../activities/library/asked.ts'),
  ]);
  const workplace = await openWorkplace(settings.pack, store);
  const resolver = new Resolver(workplace, settings.options ?? {});
  const asked: Asked[] = [];
  for await (const prompt of settings.input!) asked.push(...resolver.resolve(prompt));
  const items = uniqueItems(asked);
  const run = runId(items.map(({ item }) => item));
  const spec = { run, items, notes: [], rejected: [] };
  let isNew = true;
  if (items.length > 0) {
    const { notes, begun } = await submit(settings, { workplace, spec, store, open });
    for (const message of notes) settings.onEvent?.({ type: 'note', run, message });
    isNew = begun === 'started';
  }
  return { run, wanted: { ...wantedOf(asked), isNew } };
}

interface Submission {
  readonly workplace: { readonly pack: Pack };
  readonly spec: RunSpec;
  readonly store: ObjectStore;
  readonly open: () => Promise<Remote>;
}

async function submit(settings: Settings, { workplace, spec, store, open }: Submission): Promise<Submitted> {
  const { submitSpec } = await import('./submit.ts');
  const { window, priority, chunkSeconds, deviceClass, checkpointEvery, previews } = settings;
  const batch = { window, priority, chunkSeconds, deviceClass, checkpointEvery, previews };
  const remote = await open();
  try {
    const request = { pack: workplace.pack, spec, rejected: [], settings: batch };
    return await submitSpec({ remote, store }, request);
  } finally {
    await remote[Symbol.asyncDispose]();
  }
}

function wantedOf(asked: readonly Asked[]): Omit<Wanted, 'isNew'> {
  const items = new Map<ItemId, Asker[]>();
  const rejected: PlacedResult[] = [];
  for (const one of asked) {
    const { place, index, id } = one;
    const named = { index, ...(id !== undefined && { id }) };
    if ('error' in one) {
      const { prompt, seed, error } = one;
      const known = { ...(prompt !== undefined && { prompt }), ...(seed !== undefined && { seed }) };
      rejected.push({ place, result: { ok: false, ...named, ...known, error } });
      continue;
    }
    const { item, prompt, seed } = one.spec;
    items.set(item, [...(items.get(item) ?? []), { place, ...named, prompt, seed }]);
  }
  return { items, rejected };
}

/** @throws RefereeError NotFound */
async function attach(run: RunId, store: ObjectStore): Promise<Begun> {
  if (!(await readRun(store, run))) {
    throw new RefereeError('NotFound', `run ${run} is not in the store ${store.root}`, { details: { run } });
  }
  const items = new Map<ItemId, Asker[]>();
  for await (const { item, index, id, prompt, seed } of readPrompts(store, run)) {
    items.set(item as ItemId, [{ place: index, index, prompt, seed, ...(id !== undefined && { id }) }]);
  }
  return { run, wanted: { items, rejected: [], isNew: false } };
}
