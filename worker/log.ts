/**
 * @file What a worker says on stderr: JSON lines for machines, short lines for people. Ids and numbers, never a prompt.
 */
export interface LogFields {
  readonly run?: string | undefined;
  readonly item?: string | undefined;
  readonly step?: number | undefined;
  readonly attempt?: number | undefined;
  readonly code?: string | undefined;
}

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type Log = (level: Level, message: string, fields?: LogFields) => void;

export interface LogOptions {
  readonly json: boolean;
  readonly write: (text: string) => void;
}

export function createLog({ json, write }: LogOptions): Log {
  return (level, message, fields = {}) => {
    const text = message.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/\p{Cc}/gu, '\uFFFD');
    if (json) {
      write(`${JSON.stringify({ v: 1, time: new Date().toISOString(), level, message: text, ...fields })}\n`);
      return;
    }
    if (level === 'debug') return;
    const said = Object.entries(fields).filter(([, value]) => value !== undefined);
    const tail = said.map(([name, value]) => ` ${name}=${value as string | number}`).join('');
    write(`${level === 'info' ? '' : `${level}: `}${text}${tail}\n`);
  };
}
