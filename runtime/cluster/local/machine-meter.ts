import { readFile, statfs } from 'node:fs/promises';
import os from 'node:os';
import type { MachineMeasurement, NodeMeasurement } from '../../../sdk/cluster.ts';
import {
  type CpuTimes,
  parseCpuTimes,
  parseDisks,
  parseMemory,
  parseNetwork,
} from './proc-files.ts';

/** What is the same for every node on this machine. */
export type MachineReading = Pick<
  NodeMeasurement,
  | 'load1m'
  | 'load5m'
  | 'load15m'
  | 'storageFreeBytes'
  | 'storageUsedBytes'
  | 'networkReceivedBytes'
  | 'networkSentBytes'
> & { readonly machine: MachineMeasurement };

interface Totals {
  readonly atMs: number;
  readonly cpu?: CpuTimes | undefined;
  readonly disk?: ReturnType<typeof parseDisks>;
  readonly network?: ReturnType<typeof parseNetwork>;
}

export interface MachineMeterOptions {
  /** The disk it lies on is the one that is measured. */
  readonly directory: string;
  /** Where the kernel's files are; undefined: what the operating system's interface says, as on macOS and Windows. */
  readonly procFolder?: string | undefined;
  /** Monotonic milliseconds. @default performance.now */
  readonly clock?: () => number;
  /** Several clusters are measured at once: one reading serves all within this time. @default 500 */
  readonly shareMs?: number;
}

export const defaultProcFolder = process.platform === 'linux' ? '/proc' : undefined;

function cpuTimesFromOs(): CpuTimes {
  const all = os.cpus().map(({ times }) => times);
  const total = all.reduce((sum, it) => sum + it.user + it.nice + it.sys + it.idle + it.irq, 0);
  return { busy: total - all.reduce((sum, { idle }) => sum + idle, 0), total };
}

async function storageOf(directory: string) {
  const disk = await statfs(directory).catch(() => undefined);
  if (!disk) return {};
  return {
    storageFreeBytes: disk.bavail * disk.bsize,
    storageUsedBytes: (disk.blocks - disk.bfree) * disk.bsize,
  };
}

/** Growth per second; nothing at the first reading, and where a total fell because what counts it started again. */
function perSecond(
  before: number | undefined,
  now: number | undefined,
  elapsedMs: number,
): number | undefined {
  if (before === undefined || now === undefined || now < before || !(elapsedMs > 0))
    return undefined;
  return ((now - before) / elapsedMs) * 1000;
}

/** Leaves out what is not known. */
function known<Name extends string>(
  found: Readonly<Record<Name, number | undefined>>,
): { readonly [N in Name]?: number } {
  const entries = Object.entries(found).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [N in Name]?: number };
}

/** Reads the whole machine. What it cannot read is left out. */
export function createMachineMeter(options: MachineMeterOptions): () => Promise<MachineReading> {
  const { directory, clock = () => performance.now(), shareMs = 500 } = options;
  const procFolder = 'procFolder' in options ? options.procFolder : defaultProcFolder;
  let before: Totals | undefined;
  let shared: { readonly atMs: number; readonly reading: Promise<MachineReading> } | undefined;

  const readProc = async (name: string): Promise<string> =>
    procFolder === undefined ? '' : readFile(`${procFolder}/${name}`, 'utf8').catch(() => '');

  async function read(): Promise<MachineReading> {
    const [stat, meminfo, disks, net, storage] = await Promise.all([
      readProc('stat'),
      readProc('meminfo'),
      readProc('diskstats'),
      readProc('net/dev'),
      storageOf(directory),
    ]);
    const now: Totals = {
      atMs: clock(),
      cpu: parseCpuTimes(stat) ?? cpuTimesFromOs(),
      disk: parseDisks(disks),
      network: parseNetwork(net),
    };
    const last = before;
    before = now;
    const elapsedMs = last ? now.atMs - last.atMs : 0;
    const rate = (of: (totals: Totals) => number | undefined): number | undefined =>
      perSecond(last && of(last), of(now), elapsedMs);
    const [busy, total] = [rate((it) => it.cpu?.busy), rate((it) => it.cpu?.total)];
    const [load1m = 0, load5m = 0, load15m = 0] = os.loadavg();
    return {
      ...{ load1m, load5m, load15m },
      ...storage,
      ...known({
        networkReceivedBytes: now.network?.receivedBytes,
        networkSentBytes: now.network?.sentBytes,
      }),
      machine: {
        cpuCores: os.availableParallelism(),
        ...(parseMemory(meminfo) ?? {
          memoryTotalBytes: os.totalmem(),
          memoryFreeBytes: os.freemem(),
        }),
        ...known({
          cpuUsedFraction: busy !== undefined && total ? Math.min(1, busy / total) : undefined,
          diskReadBytes: now.disk?.readBytes,
          diskWrittenBytes: now.disk?.writtenBytes,
          diskReadBytesPerSecond: rate((it) => it.disk?.readBytes),
          diskWrittenBytesPerSecond: rate((it) => it.disk?.writtenBytes),
          networkReceivedBytesPerSecond: rate((it) => it.network?.receivedBytes),
          networkSentBytesPerSecond: rate((it) => it.network?.sentBytes),
        }),
      },
    };
  }

  return () => {
    if (!shared || clock() - shared.atMs >= shareMs) shared = { atMs: clock(), reading: read() };
    return shared.reading;
  };
}
