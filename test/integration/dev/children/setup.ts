/** @file Child process: a setup in the folder that it is given. Prints the pids when all is ready, and stays. */
import { startSetup } from '../../../../cli/dev/setup.ts';
import { idleSetup } from '../support.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const setup = await startSetup({ ...idleSetup(process.argv[2]!), say, onProcess: () => undefined });
process.stdout.write(`${JSON.stringify(setup.processes.map(({ pid }) => pid))}\n`);
setInterval(() => undefined, 1e6);
