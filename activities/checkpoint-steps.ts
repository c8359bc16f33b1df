/**
 * @file How far an item has come, from the names of its checkpoints alone.
 */
import { checkpointsFolder, parseKey } from '../store/layout.ts';
import type { ItemId, RunId } from '../store/layout.ts';
import type { ObjectStore } from '../store/object-store.ts';

/** Steps that the newest checkpoint holds; 0 without one. For estimates: its content is not looked at. */
export async function checkpointSteps(store: ObjectStore, run: RunId, item: ItemId): Promise<number> {
  const keys = await store.list(checkpointsFolder(run, item));
  const steps = keys.map((key) => parseKey(key)).map((parsed) => (parsed?.kind === 'checkpoint' ? parsed.step : 0));
  return Math.max(0, ...steps);
}
