/** @file Child process: overwrites one object for ever, with 4 MB of ones and 4 MB of twos in turn, until it is killed. */
import { FileStore } from '../../../store/file-store.ts';
import { asItemId, asRunId, itemKey } from '../../../store/layout.ts';

const store = new FileStore(process.argv[2]!);
const key = itemKey(asRunId('r1'), asItemId('i1'), 'image.png');
await store.put(key, Buffer.alloc(4_000_000, 1));
process.stdout.write('ready\n');
for (let i = 0; ; i++) await store.put(key, Buffer.alloc(4_000_000, (i % 2) + 1));
