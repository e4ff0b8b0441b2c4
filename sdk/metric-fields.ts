/** How a cluster's value comes from its nodes'. */
export type Aggregator = 'sum' | 'mean' | 'max' | 'min';

/** What AIOS's documents write: its MB are 2^20 bytes, its utilizations percent. */
export type AiosUnit = 'mebibytes' | 'percent' | 'plain';

/** Of one device. */
export type DeviceValue =
  | 'usedMemoryFraction'
  | 'utilizationFraction'
  | 'temperatureCelsius'
  | 'powerWatts';

export interface MetricField {
  /** Below `cluster` and below each of `nodes` in AIOS's documents. */
  readonly aios?: string;
  readonly aiosUnit?: AiosUnit;
  readonly over: Aggregator;
  /** The mean is one over all devices that report this, not over the nodes' means. */
  readonly device?: DeviceValue;
  /** Of the whole machine: nodes on one machine count once. */
  readonly perMachine?: true;
  /** Only grows, until what counts starts again. */
  readonly counter?: true;
  readonly help: string;
}

const amount = (aios: string, help: string): MetricField => ({
  ...{ aios, aiosUnit: 'mebibytes', over: 'sum', help },
});
const load = (aios: string, help: string): MetricField => ({
  ...{ aios, over: 'mean', perMachine: true, help },
});
const deviceMean = (device: DeviceValue, aios: string, aiosUnit: AiosUnit, help: string) =>
  ({ device, aios, aiosUnit, over: 'mean', help }) as const;
const machineTotal = (help: string, aios?: string): MetricField => ({
  ...{ over: 'sum', perMachine: true, counter: true, help },
  ...(aios === undefined ? {} : { aios }),
});

const fields = {
  cpuCores: { aios: 'vcpu.count', over: 'sum', help: 'Cores that placement may promise.' },
  cpuFreeCores: { over: 'sum', help: 'Cores that are not promised.' },
  cpuUsedCores: { over: 'sum', help: 'Cores that the node uses.' },
  cpuUsedFraction: { over: 'mean', help: 'Cores used of cores there are.' },
  load1m: load('vcpu.load1m', 'Runnable processes of the machine, averaged over a minute.'),
  load5m: load('vcpu.load5m', 'Runnable processes of the machine, averaged over 5 minutes.'),
  load15m: load('vcpu.load15m', 'Runnable processes of the machine, averaged over 15 minutes.'),
  processes: { aios: 'vcpu.totalProcesses', over: 'sum', help: 'Processes of the node.' },
  instances: { over: 'sum', help: 'Instances that are promised a place.' },
  memoryTotalBytes: amount('memory.totalMem', 'Memory that placement may promise.'),
  memoryFreeBytes: amount('memory.freeMem', 'Memory that is not promised.'),
  memoryUsedBytes: amount('memory.usedMem', 'Memory that the node uses.'),
  memoryUsedFraction: {
    ...{ aios: 'memory.averageUtil', aiosUnit: 'percent', over: 'mean' },
    help: 'Memory used of memory there is.',
  },
  swapFreeBytes: { ...amount('memory.freeSwap', 'Swap that is free.'), perMachine: true },
  swapUsedBytes: { ...amount('memory.usedSwap', 'Swap in use.'), perMachine: true },
  storageFreeBytes: { ...amount('storage.freeMem', 'Disk space that is free.'), perMachine: true },
  storageUsedBytes: { ...amount('storage.usedMem', 'Disk space in use.'), perMachine: true },
  storageLargestBytes: {
    ...amount('storage.disks.memory.maxDisk', 'Size of the largest file system.'),
    ...{ over: 'max', perMachine: true },
  },
  storageSmallestBytes: {
    ...amount('storage.disks.memory.minDisk', 'Size of the smallest file system.'),
    ...{ over: 'min', perMachine: true },
  },
  diskReadBytes: machineTotal('Bytes read from disks.', 'storage.disks.iops.readBytes'),
  diskWrittenBytes: machineTotal('Bytes written to disks.', 'storage.disks.iops.writeBytes'),
  networkReceivedBytes: machineTotal('Bytes that came over the network.', 'network.rxBytesTotal'),
  networkSentBytes: machineTotal('Bytes sent over the network.', 'network.txBytesTotal'),
  weightBytesPerSecond: {
    over: 'mean',
    help: 'Weights that decoding goes through a second, by shards that ran or by a probe.',
  },
  gpuCount: { aios: 'gpu.count', over: 'sum', help: 'Devices.' },
  gpuTotalMemoryBytes: amount('gpu.totalMem', 'Memory of all devices.'),
  gpuFreeMemoryBytes: amount('gpu.totalFreeMem', 'Memory of devices that is free.'),
  gpuUsedMemoryBytes: amount('gpu.totalUsedMem', 'Memory of devices that is promised or used.'),
  gpuUsedMemoryFraction: deviceMean(
    'usedMemoryFraction',
    'gpu.avgMemUtilization',
    'percent',
    'Memory promised or used, averaged over devices.',
  ),
  gpuUtilizationFraction: deviceMean(
    'utilizationFraction',
    'gpu.avgCudaUtilization',
    'percent',
    'How busy, averaged over devices.',
  ),
  gpuTemperatureCelsius: deviceMean(
    'temperatureCelsius',
    'gpu.avgTemperature',
    'plain',
    'Temperature, averaged over devices.',
  ),
  gpuPowerWatts: deviceMean(
    'powerWatts',
    'gpu.avgPowerUtilization',
    'plain',
    'Power drawn, averaged over devices.',
  ),
} satisfies Record<string, MetricField>;

export type MetricName = keyof typeof fields;

/** Name → AIOS's name and unit, and how a cluster's value comes from its nodes'. */
export const metricFields: Readonly<Record<MetricName, MetricField>> = fields;
export const metricNames = Object.keys(fields) as readonly MetricName[];
