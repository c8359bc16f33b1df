/**
 * @file `referee worker`: takes items of batches from a Temporal server until it is told to stop.
 */
import type { Command } from 'commander';

import { DEFAULT_LANES } from '../../activities/defaults.ts';
import { DEFAULT_DEPLOYMENT } from '../../worker/version.ts';
import { isDeviceClass } from '../../workflows/ids.ts';
import { defaultStore } from '../asked.ts';
import type { Provider } from '../providers.ts';
import { PROVIDERS } from '../providers.ts';
import type { Context } from '../context.ts';
import { choiceFlag, invalidFlag, wholeFlag } from '../flags.ts';
import type { WorkerFlags } from '../worker-process.ts';

const HELP = `
Every worker keeps one pack on one device. It takes work when a self-test has passed. SIGTERM or Ctrl-C: its items are
saved at their next step and go on elsewhere; the second signal ends it at once, at the cost of the steps since the last
checkpoints. The address, namespace and keys of the server are also taken from TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and
the other variables and profiles of Temporal's own tools.

With a build id, workflow tasks are versioned: items stay with the version that began them, runs move on to the current
version, which Temporal's own tool names (temporal worker deployment set-current-version). Searches are not versioned.

Examples:
  referee worker --store s3://bucket/runs
  referee worker --store /data/runs --lanes 4 --health :8080 --metrics :9090 --json
  referee worker --store /data/runs --roles workflows,io --address temporal:7233
  referee worker --store s3://bucket/runs --roles workflows,io --build-id "$(git rev-parse --short HEAD)"

Exit codes: 0 drained, 1 not drained in time or second signal, 2 input or usage, 75 no server or the device is gone:
start it again.`;

export function configureWorker(command: Command, context: Context): void {
  const { buildId } = context.environment;
  command
    .option('--store <store>', 'folder or URL for results and checkpoints', defaultStore(context))
    .option('--pack <name>', 'name of a pack, or its folder', 'shapes')
    .addOption(wholeFlag('lanes', { min: 1, max: 256 }, 'searches that share the device').default(DEFAULT_LANES))
    .addOption(choiceFlag('provider', PROVIDERS, 'what computes').default('auto'))
    .addOption(wholeFlag('threads', { min: 1, max: 1024 }, 'of the device (default: one per core)'))
    .option('--address <host:port>', "of Temporal's server (default: TEMPORAL_ADDRESS, or localhost:7233)")
    .option('--namespace <name>', 'at the server (default: TEMPORAL_NAMESPACE, or default)')
    .addOption(wholeFlag('connect-seconds', { min: 0, max: 86_400 }, 'to wait for the server').default(60))
    .option('--class <name>', 'of the device; results have the same bytes within one', classOf, 'default')
    .option('--roles <list>', 'of workflows, io, device: what this worker does (default: all)')
    .option('--build-id <id>', 'version of the workflows (default: REFEREE_BUILD_ID, or none)', buildId)
    .option('--deployment <name>', 'of which that is a version', DEFAULT_DEPLOYMENT)
    .option('--health <[host:]port>', 'answers GET /healthz, and /readyz when it takes work')
    .option('--metrics <[host:]port>', 'answers GET /metrics in the format of Prometheus')
    .addOption(wholeFlag('drain-seconds', { min: 1, max: 3600 }, 'until it ends after a signal, at most').default(100))
    .option('--json', 'log lines on standard error as JSON documents')
    .addHelpText('after', HELP)
    .action(async (flags: WorkerFlags & { readonly provider: Provider }) => {
      const { runWorker } = await import('../worker-process.ts');
      await runWorker(flags, context);
    });
}

function classOf(text: string): string {
  if (isDeviceClass(text)) return text;
  throw invalidFlag('class', '1 to 32 of a-z, 0-9 and "-"', text);
}
