/**
 * @file Loaded before a command (node --import limit-memory.mjs?room=40): takes memory away from the process, for real, when its
 * device is about to compute the first gradient. `room`: megabytes that the process may still take then.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

const room = Number(new URL(import.meta.url).searchParams.get('room'));
let isLimited = false;

function limit() {
  // Private memory that can be written: what V8 has reserved for its heaps alone does not count.
  const inUse = 1024 * Number(/VmData:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const bytes = inUse + 1e6 * room;
  execFileSync('prlimit', ['--pid', String(process.pid), `--data=${bytes}:${bytes}`]);
}

const { postMessage } = Worker.prototype;
Worker.prototype.postMessage = function (...message) {
  const { call } = message[0] ?? {};
  if (!isLimited && call?.kind === 'run' && call.outputs.includes('gradient')) {
    isLimited = true;
    limit();
  }
  postMessage.apply(this, message);
};
