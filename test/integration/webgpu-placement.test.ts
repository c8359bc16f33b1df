import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { temporaryFolder } from '../support/folder.ts';
import { softwareVulkan } from '../support/software-vulkan.ts';

type Counts = Readonly<Record<string, number>>;

/** Rows of the table in the page about GPUs: `graph`, nodes, operators left to the CPU, why. */
function documented(): Record<string, Counts> {
  const page = readFileSync(new URL('../../docs/how-to/gpus.md', import.meta.url), 'utf8');
  const rows = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const ofGraphs = rows.filter(([, graph, nodes]) => /^`[a-z-]+`$/.test(graph ?? '') && /^\d+$/.test(nodes ?? ''));
  const counted = (left: string): Counts =>
    Object.fromEntries(Array.from(left.matchAll(/`(\w+)` x (\d+)/g), ([, name, count]) => [name!, Number(count)]));
  return Object.fromEntries(ofGraphs.map(([, graph, , left]) => [graph!.slice(1, -1), counted(left!)]));
}

/** Nodes on the CPU by graph and operator, from what a verbose runtime says. */
function leftToCpu(said: string): Record<string, Counts> {
  const found: Record<string, Record<string, number>> = {};
  for (const [graph, ...lines] of said
    .split('\n=== ')
    .slice(1)
    .map((part) => part.split('\n'))) {
    if (graph!.startsWith('WebGPU')) continue;
    const name = /^[a-z-]+/.exec(graph!)![0].replace(/-$/, '');
    const counts: Record<string, number> = (found[name] ??= {});
    let isCpu = false;
    for (const line of lines) {
      const text = /VerifyEachNodeIsAssignedToAnEp\] +(.*)$/.exec(line)?.[1];
      if (text === undefined) continue;
      if (text.includes('placed on')) isCpu = text.includes('[CPUExecutionProvider]');
      else if (isCpu) {
        const operator = /^(\w+) \(/.exec(text)?.[1];
        if (operator !== undefined) counts[operator] = (counts[operator] ?? 0) + 1;
      }
    }
  }
  return found;
}

test('what the runtime says is read: operators of the CPU alone, by graph', () => {
  const line = (text: string): string =>
    `2026-11-26 [V:onnxruntime:, state.cc:1 VerifyEachNodeIsAssignedToAnEp]  ${text}`;
  const said = [
    '\n=== decode',
    line('All nodes placed on [WebGpuExecutionProvider]. Number of nodes: 3'),
    '\n=== alignment-3',
    line('Node(s) placed on [CPUExecutionProvider]. Number of nodes: 2'),
    line('  Concat (Concat_1)'),
    line('  Concat (/a/Concat)'),
    line('Node(s) placed on [WebGpuExecutionProvider]. Number of nodes: 1'),
    line('  Conv (/a/Conv)'),
  ].join('\n');
  expect(leftToCpu(said)).toEqual({ decode: {}, alignment: { Concat: 2 } });
});

describe.skipIf(softwareVulkan() === undefined)('WebGPU on a Vulkan driver in software', () => {
  test('leaves no more nodes of a search to the CPU than the page about GPUs says', { timeout: 300_000 }, async () => {
    const child = fileURLToPath(new URL('./support/webgpu-placement.ts', import.meta.url));
    const tsx = fileURLToPath(import.meta.resolve('tsx'));
    // A file: what the runtime writes to a pipe faster than it is read is lost.
    const file = join(await temporaryFolder(), 'said');
    const stderr = openSync(file, 'w');
    const env = { ...process.env, ...softwareVulkan() };
    const ended = once(
      spawn(process.execPath, ['--import', tsx, child], { env, stdio: ['ignore', 'ignore', stderr] }),
      'exit',
    );
    expect(await ended).toEqual([0, null]);
    closeSync(stderr);
    const said = readFileSync(file, 'utf8');
    const [found, stated] = [leftToCpu(said), documented()];
    expect(Object.keys(found).sort()).toEqual(Object.keys(stated).sort());
    expect(said.match(/placed on \[WebGpuExecutionProvider\]/g)).toHaveLength(Object.keys(found).length);
    for (const [graph, counts] of Object.entries(found)) {
      for (const [operator, count] of Object.entries(counts)) {
        expect([graph, operator, count <= (stated[graph]?.[operator] ?? 0)]).toEqual([graph, operator, true]);
      }
    }
  });
});
