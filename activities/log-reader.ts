/**
 * @file The logs of a run, or of one of its items, read again and again: each look gives the lines that are new since the
 * one before, in the order of time. Logs of attempts that are over are read once.
 */
import { logsFolder, parseKey } from '../store/layout.ts';
import type { ItemId, ObjectKey, RunId } from '../store/layout.ts';
import { LAST_EVENTS, LOG_LEVELS, readLog } from '../store/log.ts';
import type { LogLevel, LogLine } from '../store/log.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { forEachOf } from './pool.ts';

export interface LogReaderSettings {
  readonly store: ObjectStore;
  readonly run: RunId;
  /** All items where it is left out. */
  readonly item?: ItemId | undefined;
  /** The least that counts. */
  readonly level: LogLevel;
  /** Lines from then on. */
  readonly since?: Date | undefined;
  /** A log that cannot be read; told once. */
  readonly onDamage: (key: ObjectKey, damage: string) => void;
}

/** Logs that are read at one time. */
const AT_ONCE = 32;

export class LogReader {
  readonly #settings: LogReaderSettings;
  readonly #from: number;
  readonly #leastLevel: number;
  /** Lines that were given, by log that may still grow. */
  readonly #open = new Map<ObjectKey, number>();
  readonly #over = new Set<ObjectKey>();
  /** Items whose last attempt may still have something to say. */
  readonly #unended = new Set<string>();
  readonly #ended = new Set<string>();

  constructor(settings: LogReaderSettings) {
    this.#settings = settings;
    this.#from = settings.since?.getTime() ?? Number.NEGATIVE_INFINITY;
    this.#leastLevel = LOG_LEVELS.indexOf(settings.level);
  }

  /** Whether every item that has a log has one that tells the item's end. */
  get isWhole(): boolean {
    return this.#unended.size === 0;
  }

  async look(): Promise<LogLine[]> {
    const { store, run, item } = this.#settings;
    const keys = (await store.list(logsFolder(run, item))).filter((key) => !this.#over.has(key));
    const lines: LogLine[] = [];
    await forEachOf(keys, AT_ONCE, async (key) => {
      for (const line of await this.#newIn(key)) if (this.#isWanted(line)) lines.push(line);
    });
    return lines.sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  }

  async #newIn(key: ObjectKey): Promise<readonly LogLine[]> {
    const { store, onDamage } = this.#settings;
    const log = await readLog(store, key);
    if (log === undefined) return [];
    if ('damage' in log) {
      this.#over.add(key);
      onDamage(key, log.damage);
      return [];
    }
    const parsed = parseKey(key);
    const last = log.at(-1)?.event;
    if (parsed?.kind === 'log') this.#follow(parsed.item, last === 'done' || last === 'failed');
    const given = this.#open.get(key) ?? 0;
    if (last !== undefined && LAST_EVENTS.has(last)) {
      this.#open.delete(key);
      this.#over.add(key);
    } else this.#open.set(key, log.length);
    return log.slice(given);
  }

  #follow(item: string, isEnded: boolean): void {
    if (isEnded) {
      this.#ended.add(item);
      this.#unended.delete(item);
    } else if (!this.#ended.has(item)) this.#unended.add(item);
  }

  #isWanted({ level, time }: LogLine): boolean {
    return LOG_LEVELS.indexOf(level) >= this.#leastLevel && Date.parse(time) >= this.#from;
  }
}
