/**
 * @file The items of a run as its records list them. A run that is read from a stream grows: its records are written when
 * a page of them is full and at the end, and a later call with the same id adds to them.
 */
import { RefereeError } from '../../errors.ts';
import type { MethodOptions } from '../../inversion/options.ts';
import type { Pack } from '../../models/packs/resolve.ts';
import { PROMPTS_PER_PART, promptsKey, runKey } from '../../store/layout.ts';
import type { ItemId, RunId } from '../../store/layout.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import { createRun, readPrompts, readRun, writeManifest } from '../../store/run.ts';
import type { PromptRow } from '../../store/run.ts';
import { promptRow, runRecord } from '../run-files.ts';
import { packDefaults } from '../specs.ts';
import type { ItemSpec } from '../specs.ts';

export interface RowsPlace {
  readonly store: ObjectStore;
  readonly run: RunId;
  readonly pack: Pack;
}

export class RunRows {
  readonly #place: RowsPlace;
  readonly #rows: PromptRow[] = [];
  readonly #indices = new Map<string, number>();
  readonly #defaults: MethodOptions;
  /** Rows that the store has. */
  #saved = 0;

  private constructor(place: RowsPlace, rows: Iterable<PromptRow>) {
    this.#place = place;
    this.#defaults = packDefaults(place.pack);
    for (const row of rows) this.#append(row);
    this.#saved = this.#rows.length;
  }

  /** Of items that are all known: written before any work. */
  static async create(place: RowsPlace, items: readonly ItemSpec[]): Promise<RunRows> {
    const { store, run, pack } = place;
    const rows = new RunRows(place, []);
    for (const item of items) rows.#append(promptRow(item, rows.#defaults));
    rows.#saved = items.length;
    if (items.length > 0)
      await createRun(store, { run, record: runRecord(run, items.length, pack), prompts: rows.#rows });
    return rows;
  }

  /** Of a stream: what earlier calls have written. @throws InvalidStore for a run of another pack */
  static async open(place: RowsPlace): Promise<RunRows> {
    const { store, run, pack } = place;
    const found = await readRun(store, run);
    if (found && found.pack.digest !== pack.digest) {
      const digests = `found ${found.pack.digest.slice(0, 12)}, expected ${pack.digest.slice(0, 12)}`;
      throw new RefereeError('InvalidStore', `${store.locate(runKey(run))}: is of another pack: ${digests}`);
    }
    const rows: PromptRow[] = [];
    for await (const row of readPrompts(store, run)) rows.push(row);
    return new RunRows(place, rows);
  }

  /** The item with its place in the run, which is a new one if it was not there. */
  async place(spec: ItemSpec): Promise<ItemSpec> {
    const known = this.#indices.get(spec.item);
    if (known !== undefined) return { ...spec, index: known };
    const placed = { ...spec, index: this.#rows.length };
    this.#append(promptRow(placed, this.#defaults));
    if (this.#rows.length % PROMPTS_PER_PART === 0) await this.save();
    return placed;
  }

  /** Pages first, then `run.json`: where it is, the prompts are. */
  async save(): Promise<void> {
    const { store, run, pack } = this.#place;
    const count = this.#rows.length;
    if (count === this.#saved) return;
    for (let part = Math.floor(this.#saved / PROMPTS_PER_PART); part * PROMPTS_PER_PART < count; part += 1) {
      const page = this.#rows.slice(part * PROMPTS_PER_PART, (part + 1) * PROMPTS_PER_PART);
      await store.put(promptsKey(run, part), page.map((row) => `${JSON.stringify(row)}\n`).join(''));
    }
    await store.put(runKey(run), `${JSON.stringify(runRecord(run, count, pack), undefined, 2)}\n`);
    this.#saved = count;
  }

  /** Records and manifest of everything so far. */
  async finish(): Promise<void> {
    await this.save();
    if (this.#rows.length === 0) return;
    await writeManifest(
      this.#place.store,
      this.#place.run,
      this.#rows.map(({ item }) => item as ItemId),
    );
  }

  #append(row: PromptRow): void {
    this.#indices.set(row.item, this.#rows.length);
    this.#rows.push(row);
  }
}
