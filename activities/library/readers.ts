/**
 * @file What a finished item can be asked for. Nothing is read before it is asked for, and nothing is kept after.
 */
import { RefereeError } from '../../errors.ts';
import { readoutLatent, stateFromTensors } from '../../inversion/state.ts';
import type { LatentShape } from '../../inversion/state.ts';
import type { Tensor } from '../../models/onnx/dtype.ts';
import { newestValid } from '../../store/checkpoint.ts';
import { itemKey } from '../../store/layout.ts';
import type { RunId } from '../../store/layout.ts';
import type { ObjectStore } from '../../store/object-store.ts';
import type { Result } from '../../store/result.ts';
import { readResult } from '../../store/run.ts';
import { checkpointCodec } from '../checkpoint-codec.ts';
import type { ItemSpec } from '../specs.ts';

export interface Finished {
  /** Everything that is known about the item: the content of `result.json`. */
  readonly result: Result;
  /** Of the picture: a file, or a name in memory. */
  readonly path: string;
  /** The picture as a PNG file. */
  readonly image: () => Promise<Uint8Array>;
  /** The latent that the picture was decoded from, float32 [C, h, w]. */
  readonly latent: () => Promise<Tensor>;
}

export interface ItemPlace {
  readonly store: ObjectStore;
  readonly run: RunId;
  readonly packDigest: string;
}

/** What of a spec says which picture it is. */
export type FinishedSpec = Pick<ItemSpec, 'item' | 'digest' | 'options'>;

export async function finishedItem(place: ItemPlace, spec: FinishedSpec): Promise<Finished> {
  const { store, run } = place;
  const imageKey = itemKey(run, spec.item, 'image.png');
  const result = await readResult(store, run, spec.item);
  if (!result) throw gone(store.locate(itemKey(run, spec.item, 'result.json')));
  return {
    result,
    path: store.locate(imageKey),
    image: async () => {
      const bytes = await store.get(imageKey);
      if (!bytes) throw gone(store.locate(imageKey));
      return bytes;
    },
    latent: () => latentOf(place, spec),
  };
}

/** From the last checkpoint, which outlives the search. */
async function latentOf(
  { store, run, packDigest }: ItemPlace,
  { item, digest, options }: FinishedSpec,
): Promise<Tensor> {
  const owner = { specDigest: digest, packDigest };
  const { checkpoint } = await newestValid(store, checkpointCodec, { run, item, owner });
  const shape = checkpoint?.tensors['latent']?.shape;
  if (!checkpoint || !shape) throw gone(`the last checkpoint of ${item}`);
  const data = readoutLatent(stateFromTensors(checkpoint.tensors, options, shape as LatentShape), options);
  return { dtype: 'float32', shape, data };
}

function gone(what: string): RefereeError {
  return new RefereeError('NotFound', `${what}: is not there any more`);
}
