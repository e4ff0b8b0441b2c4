/** What Linux says of the machine in `/proc`. Each reader gives nothing for a text that is not what it knows. */

export interface CpuTimes {
  /** In whatever unit the source counts: only ratios matter. */
  readonly busy: number;
  readonly total: number;
}

const kibibyte = 1024;
const sectorBytes = 512;

const columns = (line: string): string[] => line.trim().split(/\s+/);

/** `/proc/stat`: the line of all cores. Waiting for a disk is idle. */
export function parseCpuTimes(text: string): CpuTimes | undefined {
  const line = /^cpu +([\d ]+)$/m.exec(text)?.[1];
  if (line === undefined) return undefined;
  // user nice system idle iowait irq softirq steal; what guests use is in user already.
  const times = columns(line).slice(0, 8).map(Number);
  const total = times.reduce((sum, time) => sum + time, 0);
  return { busy: total - (times[3] ?? 0) - (times[4] ?? 0), total };
}

export interface Memory {
  readonly memoryTotalBytes: number;
  readonly memoryFreeBytes: number;
  readonly swapFreeBytes?: number;
  readonly swapUsedBytes?: number;
}

/** `/proc/meminfo`. */
export function parseMemory(text: string): Memory | undefined {
  const read = (name: string): number | undefined => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    return found === undefined ? undefined : Number(found) * kibibyte;
  };
  const memoryTotalBytes = read('MemTotal');
  const memoryFreeBytes = read('MemAvailable');
  const [swapTotal, swapFreeBytes] = [read('SwapTotal'), read('SwapFree')];
  if (memoryTotalBytes === undefined || memoryFreeBytes === undefined) return undefined;
  return {
    ...{ memoryTotalBytes, memoryFreeBytes },
    ...(swapTotal === undefined || swapFreeBytes === undefined
      ? {}
      : { swapFreeBytes, swapUsedBytes: swapTotal - swapFreeBytes }),
  };
}

/** Made of memory or of other disks. */
const virtualDisk = /^(?:loop|ram|zram|dm-|md|sr|fd|nbd)\d*$/;

/** `/proc/diskstats`: whole disks only, as their partitions are in their numbers. */
export function parseDisks(text: string): { readBytes: number; writtenBytes: number } | undefined {
  const rows = text.split('\n').flatMap((line) => {
    const [, , name, , , read, , , , written] = columns(line);
    const bytes = [Number(read) * sectorBytes, Number(written) * sectorBytes];
    return name && bytes.every(Number.isSafeInteger) ? [{ name, bytes }] : [];
  });
  const names = new Set(rows.map(({ name }) => name));
  const isPartition = (name: string): boolean =>
    // `sda1` of `sda`, `nvme0n1p1` of `nvme0n1`.
    [/^(.*\D)\d+$/, /^(.*\d)p\d+$/].some((form) => names.has(form.exec(name)?.[1] ?? ''));
  const disks = rows.filter(({ name }) => !virtualDisk.test(name) && !isPartition(name));
  if (disks.length === 0) return undefined;
  const total = (at: 0 | 1): number => disks.reduce((sum, { bytes }) => sum + (bytes[at] ?? 0), 0);
  return { readBytes: total(0), writtenBytes: total(1) };
}

/** Within the machine, or the same bytes that a real interface counts too. */
const virtualInterface = /^(?:lo|veth|docker|br-|virbr|ifb|cni|flannel|cali|dummy|tap)/;

/** `/proc/net/dev`. */
export function parseNetwork(
  text: string,
): { receivedBytes: number; sentBytes: number } | undefined {
  const rows = text.split('\n').flatMap((line) => {
    const [, name = '', numbers = ''] = /^\s*([^\s:|]+):(.*)$/.exec(line) ?? [];
    const fields = columns(numbers).map(Number);
    const [received, sent] = [fields[0] ?? Number.NaN, fields[8] ?? Number.NaN];
    const sound = Number.isFinite(received) && Number.isFinite(sent) && name !== '';
    return sound && !virtualInterface.test(name) ? [{ received, sent }] : [];
  });
  if (rows.length === 0) return undefined;
  return {
    receivedBytes: rows.reduce((sum, { received }) => sum + received, 0),
    sentBytes: rows.reduce((sum, { sent }) => sum + sent, 0),
  };
}
