/** @file Child process: at a given moment writes the same keys once each, and tells which of them it was the first to write. */
import { FileStore } from '../../../store/file-store.ts';
import { asRunId, promptsKey } from '../../../store/layout.ts';

const [, , folder, name, keys, at] = process.argv;
const store = new FileStore(folder!);
while (Date.now() < Number(at));
const won: number[] = [];
for (let i = 0; i < Number(keys); i++) {
  if ((await store.put(promptsKey(asRunId('r1'), i), name!.repeat(50_000), { once: true })) === 'written') won.push(i);
}
process.stdout.write(JSON.stringify(won));
