/**
 * @file Ports of this machine that nobody listens on. Between asking and listening another process may take one: whoever
 * starts a server looks for that and asks again.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

export const LOOPBACK = '127.0.0.1';

/** Different ports, none in use now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listening(0)));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

export async function isFree(port: number): Promise<boolean> {
  try {
    const server = await listening(port);
    await once(server.close(), 'close');
    return true;
  } catch {
    return false;
  }
}

async function listening(port: number): Promise<ReturnType<typeof createServer>> {
  const server = createServer().listen(port, LOOPBACK);
  await once(server, 'listening');
  return server;
}
