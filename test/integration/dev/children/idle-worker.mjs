// Answers on the port that it is given until SIGTERM.
import { createServer } from 'node:http';
import process from 'node:process';

createServer((_, response) => response.end('ok')).listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGTERM', () => {
  process.stdout.write('drained\n');
  process.exit(0);
});
