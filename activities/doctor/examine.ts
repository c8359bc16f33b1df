/**
 * @file All checks of this machine, its pack and its store, in the order in which people read them. The server of batches
 * is asked by `remote/check-server.ts`.
 */
import { isRefereeError } from '../../errors.ts';
import type { ProviderName } from '../../models/runtime/device.ts';
import type { Benchmark } from '../benchmarks.ts';
import { benchmarkFile, readBenchmark, writeBenchmark } from '../benchmarks.ts';
import { benchmark } from './benchmark.ts';
import type { Finding } from './finding.ts';
import { bytesText, failedFinding, secondsText } from './finding.ts';
import { checkMemory, checkProcessor, checkTemporary, checkVersions } from './machine.ts';
import { checkPack } from './pack.ts';
import type { ProvidersAnswer } from './providers.ts';
import { checkProviders } from './providers.ts';
import { checkStore } from './store.ts';

export interface ExamineRequest {
  readonly pack: string;
  readonly provider: ProviderName | 'auto';
  readonly threads?: number | undefined;
  readonly lanes: number;
  /** Folder or URL. */
  readonly store: string;
  readonly isMeasured: boolean;
  /** Where measurements are kept; undefined: nowhere. */
  readonly cache: string | undefined;
  readonly signal: AbortSignal;
  readonly onFinding: (finding: Finding) => void;
}

export interface Examined {
  /** Undefined where the pack cannot be used. */
  readonly packDigest: string | undefined;
  readonly benchmark?: Benchmark;
}

/** @throws `signal.reason` when aborted; no probe is left in the store then either */
export async function examine(request: ExamineRequest): Promise<Examined> {
  const { signal, onFinding, store, cache } = request;
  // First, so that the peak of the memory is that of a run.
  const measured = request.isMeasured ? await measure(request) : undefined;
  onFinding(checkVersions());
  onFinding(checkProcessor());
  const { pack, finding } = await checkPack(request.pack);
  onFinding(finding);
  const providers = await checkProviders({ ...request, pack });
  onFinding(checkMemory(providers.need));
  onFinding(await checkTemporary());
  onFinding(measured?.finding ?? (await known(providers, cache)));
  await checkStore({ location: store, signal, onFinding });
  return { packDigest: pack?.digest, ...(measured?.benchmark && { benchmark: measured.benchmark }) };
}

const NAME = 'benchmark';

async function measure(request: ExamineRequest): Promise<{ benchmark?: Benchmark; finding: Finding }> {
  const { signal, cache } = request;
  let found: Benchmark;
  try {
    found = await benchmark(request);
  } catch (error) {
    if (signal.aborted || !isRefereeError(error)) throw error;
    return { finding: failedFinding(NAME, error) };
  }
  if (cache === undefined) return { benchmark: found, finding: measuredFinding(found, 'not kept') };
  try {
    const file = await writeBenchmark(cache, found);
    return { benchmark: found, finding: measuredFinding(found, `kept in ${file}`) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const finding = measuredFinding(found, `cannot be kept in ${benchmarkFile(cache, found)} (${code})`);
    return {
      benchmark: found,
      finding: { ...finding, state: 'warning', fix: 'set XDG_CACHE_HOME to a folder that can be written' },
    };
  }
}

/** What earlier measurements say of the best provider. */
async function known({ key }: ProvidersAnswer, cache: string | undefined): Promise<Finding> {
  const found = key && cache !== undefined ? await readBenchmark(cache, key) : undefined;
  if (found) return measuredFinding(found, `measured ${found.date.slice(0, 10)}`);
  return {
    name: NAME,
    state: 'ok',
    found: 'not measured with this pack, provider and number of threads: runs begin without an estimate of their time',
    fix: 'referee doctor --benchmark measures it once',
  };
}

function measuredFinding(found: Benchmark, place: string): Finding {
  const { steps, startSeconds, peakBytes, provider, threads } = found;
  const speeds = steps.map(({ lanes, search }) => {
    const each = lanes === 1 ? '' : ` (${secondsText(search / lanes)} each)`;
    return `${lanes} ${lanes === 1 ? 'lane' : 'lanes'} ${secondsText(search)} a step${each}`;
  });
  const where = `${provider}, ${threads === 1 ? '1 thread' : `${threads} threads`}`;
  const parts = [where, `${secondsText(startSeconds)} to start`, ...speeds, `peak ${bytesText(peakBytes)}`, place];
  return { name: NAME, state: 'ok', found: parts.join(', '), facts: { ...found } };
}
