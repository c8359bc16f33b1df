import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { runConsumer } from '../support/consumer.ts';

/** Prints every module that an import loads, of both module systems, and every native library. */
const LISTING = `
import { createRequire, register } from 'node:module';
import { MessageChannel } from 'node:worker_threads';

const { port1, port2 } = new MessageChannel();
const loaded = [];
port1.on('message', (url) => loaded.push(url));
port1.unref();
const hooks = \`
  let port;
  export function initialize(data) { port = data.port; }
  export async function load(url, context, next) { port.postMessage(url); return next(url, context); }
\`;
register('data:text/javascript,' + encodeURIComponent(hooks), { data: { port: port2 }, transferList: [port2] });
await import(process.argv[2]);
await new Promise((resolve) => setTimeout(resolve, 200));
const { cache } = createRequire(import.meta.url);
process.report.excludeNetwork = true;
const { sharedObjects } = process.report.getReport();
console.log([...loaded, ...Object.keys(cache), ...sharedObjects].join('\\n'));
process.exit();
`;

const HEAVY = /onnxruntime|@napi-rs|@temporalio|@grpc|tokenizers|fast-png|device-thread|architectures|autodiff/;

describe('importing', () => {
  test.each(['referee', 'referee/packs', 'referee/store'])('%s loads nothing heavy', async (name) => {
    const { stdout } = await runConsumer({ 'main.mjs': LISTING }, [name]);
    const loaded = stdout.split('\n');
    expect(loaded.filter((file) => /\/dist\/.*\.js$/.test(file)).length).toBeGreaterThan(3);
    expect(loaded.filter((file) => HEAVY.test(file))).toEqual([]);
  });

  test('would be noticed if it did', async () => {
    const engine = new URL('../../dist/activities/engine.js', import.meta.url);
    const { stdout } = await runConsumer({ 'main.mjs': LISTING }, [engine.href]);
    expect(stdout).toMatch(/@huggingface\/tokenizers/);
    const canvas = await runConsumer({ 'main.mjs': LISTING }, [import.meta.resolve('@napi-rs/canvas')]);
    expect(canvas.stdout).toMatch(/@napi-rs\/canvas.*\.node/);
  });

  test('referee/packs tells what a pack is', async () => {
    const main = `
      import { packNames, readManifest } from 'referee/packs';
      const { manifest } = await readManifest('shapes');
      console.log(JSON.stringify({ names: await packNames(), name: manifest.name, licence: manifest.licence.spdx }));`;
    const { stdout } = await runConsumer({ 'main.mjs': main });
    expect(JSON.parse(stdout)).toEqual({ names: ['shapes'], name: 'shapes', licence: 'Apache-2.0' });
  });
});

const LOOP = `
  let bytes;
  for await (const event of invert({ prompt: 'a red circle', steps: 4 })) {
    if (event.type === 'done') bytes = (await event.image()).length;
  }`;

describe('a program', () => {
  test('in CommonJS, by dynamic import, whose process ends by itself', async () => {
    const main = `
      (async () => {
        const { invert } = await import('referee');
        ${LOOP}
        console.log('bytes', bytes);
      })();`;
    const { stdout, stderr, exitCode } = await runConsumer({ 'main.cjs': main });
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(stdout).toMatch(/^bytes \d{4,}$/);
  });

  test('that leaves the loop: devices are closed, the process ends', async () => {
    const main = `
      import { invert, openRun } from 'referee';
      for await (const event of invert({ prompt: 'a red circle', steps: 64 })) if (event.type === 'step') break;
      const run = await openRun({ input: ['a red circle', 'a blue square'], options: { steps: 4 }, lanes: 1 });
      for await (const result of run.results()) { console.log(result.ok, result.index); break; }`;
    const { stdout, stderr, exitCode } = await runConsumer({ 'main.mjs': main });
    expect({ stderr, exitCode, stdout }).toEqual({ stderr: '', exitCode: 0, stdout: 'true 0' });
  });

  test('in a worker thread', async () => {
    const main = `
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(new URL('./worker.mjs', import.meta.url));
      worker.on('message', (message) => console.log(message));
      worker.on('exit', (code) => console.log('exit', code));`;
    const worker = `
      import { parentPort } from 'node:worker_threads';
      import { invert } from 'referee';
      ${LOOP}
      parentPort.postMessage('bytes ' + bytes);`;
    const { stdout, stderr, exitCode } = await runConsumer({ 'main.mjs': main, 'worker.mjs': worker });
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(stdout).toMatch(/^bytes \d{4,}\nexit 0$/);
  });
});

const here = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

test('the example runs as it is, and run again has nothing to do', async () => {
  const main = await readFile(here('examples/pipeline/main.mjs'), 'utf8');
  const twice = `
    import { execFileSync } from 'node:child_process';
    for (const _ of [1, 2]) console.log(execFileSync(process.execPath, ['main.mjs', 'prompts.jsonl'], { encoding: 'utf8' }));`;
  const prompts = [
    { id: 'a', prompt: 'a red circle', steps: 4 },
    { id: 'b', prompt: 'a purple zebra', steps: 4 },
  ];
  const lines = prompts.map((prompt) => `${JSON.stringify(prompt)}\n`).join('');
  const { stdout, stderr } = await runConsumer({ 'twice.mjs': twice, 'main.mjs': main, 'prompts.jsonl': lines });
  expect(stderr).toBe('');
  const [first, second] = stdout.trim().split(/\n\n/);
  expect(first).toMatch(/^a {2}match 0\.\d+ .*image\.png$/m);
  expect(first).toMatch(/^b {2}InvalidInput: .*"zebra"/m);
  expect(first).toMatch(/^1 new, 0 reused, 1 failed/m);
  expect(second).toMatch(/^0 new, 1 reused, 1 failed/m);
});

describe.each([
  ['docs/how-to/library.md', 4],
  ['docs/how-to/gradients.md', 1],
])('%s', async (path, count) => {
  const page = await readFile(here(path), 'utf8');
  const snippets = [...page.matchAll(/^## (.*)\n[^#]*?```js\n([\s\S]*?)```/gm)].map(([, title, code]) => ({
    title,
    code,
  }));

  test('has its snippets', () => {
    expect(snippets.length).toBeGreaterThanOrEqual(count);
    expect(page.match(/```js/g)).toHaveLength(snippets.length);
  });

  test.each(snippets)('$title: the snippet runs', async ({ code }) => {
    const { stderr, exitCode } = await runConsumer({ 'main.mjs': code! });
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  });
});
