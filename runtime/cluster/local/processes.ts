import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const hasProc = process.platform === 'linux';
/** Kernel's USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
const filesAtOnce = 64;

export interface ProcessUsage {
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
  readonly cpuSeconds: number;
}

async function readText(path: string): Promise<string | undefined> {
  // Processes end while they are being read.
  return readFile(path, 'utf8').catch(() => undefined);
}

const kibibytes = (status: string, name: string): number =>
  1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);

async function usageFromProc(pid: number): Promise<ProcessUsage | undefined> {
  const [status, stat] = await Promise.all([
    readText(`/proc/${pid}/status`),
    readText(`/proc/${pid}/stat`),
  ]);
  // A zombie has no memory any more: it is gone for our purposes.
  if (!status || !stat || !status.includes('VmRSS')) return undefined;
  // The second field is the command in parentheses and may hold anything; the others follow the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    residentBytes: kibibytes(status, 'VmRSS'),
    peakResidentBytes: kibibytes(status, 'VmHWM'),
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
  };
}

/** `[[dd-]hh:]mm:ss[.cc]` */
function parseCpuTime(text: string): number {
  const [clock = '', days = '0'] = text.split('-').reverse();
  return clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) + Number(days) * 86_400;
}

async function usageFromPs(pid: number): Promise<ProcessUsage | undefined> {
  const answer = await run('ps', ['-o', 'rss=,time=', '-p', String(pid)]).catch(() => undefined);
  const [resident, time] = answer?.stdout.trim().split(/\s+/) ?? [];
  if (!resident || !time) return undefined;
  const residentBytes = Number(resident) * 1024;
  return { residentBytes, peakResidentBytes: residentBytes, cpuSeconds: parseCpuTime(time) };
}

/** What a process uses now; undefined when it is gone. The peak is only known on Linux. */
export const processUsage: (pid: number) => Promise<ProcessUsage | undefined> = hasProc
  ? usageFromProc
  : usageFromPs;

async function commandsFromProc(): Promise<readonly (readonly [pid: number, command: string])[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found: (readonly [number, string])[] = [];
  // Not all at once: on a busy machine there are more processes than files that we may have open.
  for (let from = 0; from < pids.length; from += filesAtOnce) {
    const lines = pids.slice(from, from + filesAtOnce).map(async (pid) => {
      const line = (await readText(`/proc/${pid}/cmdline`)) ?? '';
      return [Number(pid), line.replaceAll('\0', ' ')] as const;
    });
    found.push(...(await Promise.all(lines)));
  }
  return found;
}

async function commandsFromPs(): Promise<readonly (readonly [pid: number, command: string])[]> {
  const { stdout } = await run('ps', ['-axo', 'pid=,args='], { maxBuffer: 64 * 2 ** 20 });
  return stdout.split('\n').map((line) => {
    const [, pid = '0', command = ''] = /^\s*(\d+) (.*)$/.exec(line) ?? [];
    return [Number(pid), command];
  });
}

/** Processes of this machine whose command line holds `argument` as a whole word. */
export async function processesWith(
  argument: string,
): Promise<readonly { readonly pid: number; readonly command: string }[]> {
  const commands = await (hasProc ? commandsFromProc() : commandsFromPs());
  return commands
    .filter(([pid, command]) => pid !== process.pid && ` ${command} `.includes(` ${argument} `))
    .map(([pid, command]) => ({ pid, command }));
}

function signalAll(targets: readonly number[], signal: NodeJS.Signals): void {
  for (const target of targets) {
    try {
      process.kill(target, signal);
    } catch {
      // Already gone.
    }
  }
}

/** SIGKILL goes to the process's whole group where it leads one, so that what it started ends with it. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  signalAll(signal === 'SIGKILL' ? [-pid, pid] : [pid], signal);
}

/**
 * Ends what a process that is gone had started. The kernel gives its pid to nobody while its group has a member; where
 * the pid runs again, the group is empty and both belong to a stranger.
 */
export async function endGroup(pid: number): Promise<void> {
  if ((await processUsage(pid)) === undefined) signalAll([-pid], 'SIGKILL');
}
