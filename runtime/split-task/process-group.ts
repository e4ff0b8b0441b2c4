import type { ChildProcess } from 'node:child_process';

/** How long what an ended process wrote may still be read. */
const drainMs = 1000;

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Kills the first process of a group and whatever it started in it. */
export function killGroupOf(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
    return;
  } catch {
    // None of them is left, or this system knows no groups.
  }
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Kills a detached process and whatever it started in its group. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // None of them is left, or this system knows no groups.
    child.kill('SIGKILL');
  }
}

/** Once it has ended and what it wrote and sent is read; what it started ends with it. */
export function whenEnded(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    let draining: NodeJS.Timeout | undefined;
    child.on('error', reject);
    child.once('exit', (code, signal) => {
      killGroup(child);
      // A process that left the group may hold its pipes open for ever.
      draining = setTimeout(() => {
        for (const stream of child.stdio) stream?.destroy();
        resolve({ code, signal });
      }, drainMs);
    });
    child.once('close', (code, signal) => {
      clearTimeout(draining);
      resolve({ code, signal });
    });
  });
}
