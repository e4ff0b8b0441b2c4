import { setTimeout } from 'node:timers/promises';
import { processStartTime } from '../instance/start-time.ts';
import { killGroupOf } from './process-group.ts';

/** A process as it is found again, though this one ended: a pid alone may be somebody else's by then. */
export interface LeftProcess {
  readonly pid: number;
  readonly startTime: string;
}

const checks = 100;
const checkMs = 10;

/** @returns undefined: it has ended */
export async function identify(pid: number | undefined): Promise<LeftProcess | undefined> {
  const startTime = pid === undefined ? undefined : await processStartTime(pid);
  return pid === undefined || startTime === undefined ? undefined : { pid, startTime };
}

/** Ends a process, and what it started in its group, if it is still that one. */
export async function endLeftProcess({ pid, startTime }: LeftProcess): Promise<void> {
  if ((await processStartTime(pid)) !== startTime) return;
  killGroupOf(pid);
  // What nobody asks how it ended stays for ever, and does nothing.
  for (let check = 0; check < checks && isGroup(pid); check += 1) await setTimeout(checkMs);
}

function isGroup(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}
