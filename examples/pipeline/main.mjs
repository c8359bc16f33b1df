// @ts-check
/**
 * Prompts from a file of JSON lines in, pictures and a table out. Kill it and start it again: it goes on where it was.
 *
 *   node main.mjs prompts.jsonl
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

import { isRefereeError, openRun } from 'referee';

/**
 * Read line by line, only as fast as searches become free: the file may be larger than the memory.
 *
 * @param {string} file
 */
async function* promptsOf(file) {
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (line.trim() !== '') yield JSON.parse(line);
  }
}

const file = process.argv[2] ?? 'prompts.jsonl';
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

const counts = { new: 0, reused: 0, failed: 0 };
try {
  // A name of its own, because the prompts are not known beforehand: the same name goes on with the same run.
  const run = await openRun({ input: promptsOf(file), store: 'runs', id: 'pipeline', signal: stop.signal });
  for await (const result of run.results({ order: 'input' })) {
    const name = result.id ?? `prompt ${result.index}`;
    if (!result.ok) {
      counts.failed += 1;
      console.log(`${name}  ${result.error.code}: ${result.error.message}`);
      continue;
    }
    counts[result.isReused ? 'reused' : 'new'] += 1;
    const scores = Object.entries(result.scores).map(([referee, score]) => `${referee} ${score.toFixed(3)}`);
    console.log(`${name}  ${scores.join('  ')}  ${result.path}`);
  }
  console.log(`${counts.new} new, ${counts.reused} reused, ${counts.failed} failed`);
} catch (error) {
  if (!isRefereeError(error)) throw error;
  console.error(error.code === 'Interrupted' ? 'stopped; start again to go on' : error.message);
  process.exitCode = error.exit;
}
