/**
 * @file What must hold when all is over, from the files alone: nothing lost, nothing twice, nothing torn, and the bytes of
 * a run that nobody disturbed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { sha256 } from '../../../store/ids.ts';
import { filesOf, tornFiles } from '../../integration/support/whole-files.ts';

export interface Found {
  /** Items without a succeeded result in the manifest. */
  readonly lost: readonly string[];
  /** Items with more than one line in the manifest, and files that nobody has asked for. */
  readonly duplicated: readonly string[];
  /** Files that are not whole, or not those that their result names. */
  readonly torn: readonly string[];
  /** Pictures and traces that are not those of the undisturbed run. */
  readonly unequal: readonly string[];
}

/** Objects of one item: what is kept, and no more checkpoints than two beside a late one. */
const KEPT = /^(?:spec\.json|result\.json|trace\.jsonl|image\.png|checkpoints\/step-\d{6}\.safetensors)$/;

/** A file that the S3 server was about to give its name when it was killed; none that its protocol answers with as it was. */
const LEFT_BY_SERVER = /\.sgwtmp[./]/;

/** `folder` and `undisturbed` are those of runs. */
export function inspectRun(folder: string, items: readonly string[], undisturbed: string): Found {
  const rows = read(folder, 'manifest.jsonl')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { item: string; state: string });
  const times = (item: string): number => rows.filter((row) => row.item === item && row.state === 'succeeded').length;
  const files = filesOf(folder).filter((file) => !LEFT_BY_SERVER.test(file));
  const ofItems = files.filter((file) => file.startsWith('items/')).map((file) => file.slice('items/'.length));
  const unknown = ofItems.filter((file) => {
    const [item, ...rest] = file.split('/');
    return !items.includes(item!) || !KEPT.test(rest.join('/'));
  });
  return {
    lost: items.filter((item) => times(item) === 0),
    duplicated: [...items.filter((item) => times(item) > 1), ...unknown],
    torn: [...tornFiles(folder, files), ...items.filter((item) => !isWhole(folder, item))],
    unequal: items.flatMap((item) =>
      ['image.png', 'trace.jsonl']
        .map((file) => join('items', item, file))
        .filter((file) => read(folder, file, 'latin1') !== read(undisturbed, file, 'latin1')),
    ),
  };
}

function isWhole(folder: string, item: string): boolean {
  const result = read(folder, join('items', item, 'result.json'));
  if (result === '') return true; // lost, which is counted there
  const { digests } = JSON.parse(result) as { digests: { image?: string } };
  const picture = join(folder, 'items', item, 'image.png');
  return existsSync(picture) && sha256(readFileSync(picture)) === digests.image;
}

/** Empty for a file that is not there. */
function read(folder: string, file: string, encoding: BufferEncoding = 'utf8'): string {
  const path = join(folder, file);
  return existsSync(path) ? readFileSync(path, encoding) : '';
}
