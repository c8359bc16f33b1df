/**
 * @file Temporal's server for a measurement, on a database file in `folder`. It ends with this process.
 */
import { endChild, isUp, logEnd, startChild } from '../../cli/dev/child.ts';
import { readPlaces } from '../../cli/config.ts';
import { findProgram } from '../../cli/dev/find-program.ts';
import { Keeper } from '../../cli/dev/keeper.ts';
import { freePorts, LOOPBACK } from '../../cli/dev/ports.ts';
import { PROGRAMS } from '../../cli/dev/programs.ts';
import { temporalServer } from '../../cli/dev/servers.ts';

export interface BenchServer {
  readonly address: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const GRACE_MS = 10_000;

export async function benchTemporal(folder: string, say: (line: string) => void): Promise<BenchServer> {
  const places = readPlaces();
  const program = await findProgram(PROGRAMS.temporal, places, say);
  const [port] = await freePorts(1);
  const spec = temporalServer({ program, folder, port: port!, env: places.variables });
  const keeper = new Keeper();
  const child = await startChild(spec, keeper);
  if (!(await isUp(spec, child))) throw new Error(`${spec.name} has ended: ${await logEnd(spec.log)}`);
  return {
    address: `${LOOPBACK}:${port}`,
    pid: child.pid,
    async stop() {
      await endChild(child, GRACE_MS);
      keeper[Symbol.dispose]();
    },
  };
}
