/**
 * @file Temporal's server for a measurement, on a database file in `folder`. It ends with this process.
 */
import { readPlaces } from '../../cli/config.ts';
import { findProgram } from '../../cli/dev/find-program.ts';
import { LOOPBACK } from '../../cli/dev/ports.ts';
import { PROGRAMS } from '../../cli/dev/programs.ts';
import { temporalServer } from '../../cli/dev/servers.ts';
import { Server } from '../../test/support/servers/server.ts';

export interface BenchServer {
  readonly address: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export async function benchTemporal(folder: string, say: (line: string) => void): Promise<BenchServer> {
  const places = readPlaces();
  const program = await findProgram(PROGRAMS.temporal, places, say);
  const server = await Server.start((port) => temporalServer({ program, folder, port, env: places.variables }));
  return { address: `${LOOPBACK}:${server.port}`, pid: server.pid!, stop: () => server.stop() };
}
