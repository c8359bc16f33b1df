/**
 * @file The one place that reads the environment; what it says is passed down.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

import type { Places } from './dev/programs.ts';

export interface Environment {
  /** Whether stderr is a terminal on which lines can be redrawn. */
  readonly isInteractive: boolean;
  readonly hasColour: boolean;
  /** Columns of the terminal. */
  readonly columns: number;
  /** REFEREE_STORE: where runs are kept unless --store says otherwise. */
  readonly store?: string;
  /** REFEREE_BUILD_ID: version of the workflows' code that a worker serves. */
  readonly buildId?: string;
  /** Variables of Temporal's clients: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY ... */
  readonly temporal?: Readonly<Record<string, string>>;
}

interface Source {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: { readonly isTTY?: boolean; readonly columns?: number };
}

/** NO_COLOR (no-color.org), CI and TERM=dumb are respected. */
export function readEnvironment({ env, stderr }: Source): Environment {
  const isSet = (name: string): boolean => env[name] !== undefined && env[name] !== '';
  const isInteractive = stderr.isTTY === true && env['TERM'] !== 'dumb' && !isSet('CI');
  const store = env['REFEREE_STORE'] ?? '';
  const buildId = env['REFEREE_BUILD_ID'] ?? '';
  const temporal = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[0].startsWith('TEMPORAL_') && entry[1] !== undefined,
  );
  return {
    isInteractive,
    hasColour: isInteractive && !isSet('NO_COLOR'),
    columns: stderr.columns ?? 80,
    ...(store !== '' && { store }),
    ...(buildId !== '' && { buildId }),
    ...(temporal.length > 0 && { temporal: Object.fromEntries(temporal) }),
  };
}

/** The variables themselves, for child processes and for finding programs, and referee's folder for what is built once. */
export function readPlaces(env: Source['env'] = process.env): Places {
  const named = env['XDG_CACHE_HOME'];
  const home = env['HOME'];
  const caches = named === undefined || named === '' ? join(home ?? homedir(), '.cache') : named;
  return { variables: env, cache: join(caches, 'referee') };
}
