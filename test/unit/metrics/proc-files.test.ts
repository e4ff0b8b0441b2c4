import { describe, expect, it } from 'vitest';
import {
  parseCpuTimes,
  parseDisks,
  parseMemory,
  parseNetwork,
} from '../../../runtime/cluster/local/proc-files.ts';

const garbage = [
  '',
  '\n\n',
  'cpu',
  'cpu  a b c',
  'MemTotal: many kB',
  'x: y: z',
  '\0\0\0',
  '1 2 3',
];

describe('/proc', () => {
  it('cores: waiting for a disk is idle, guests are not counted twice', () => {
    const stat = 'cpu  100 10 20 800 70 0 5 1 40 3\ncpu0 1 2 3 4\nintr 1\n';

    expect(parseCpuTimes(stat)).toEqual({ busy: 136, total: 1006 });
  });

  it('memory: what a new process could get', () => {
    const meminfo =
      'MemTotal:       24682416 kB\nMemFree:        20 kB\nMemAvailable:   24291124 kB\nSwapTotal:      1000 kB\nSwapFree:       400 kB\n';

    expect(parseMemory(meminfo)).toEqual({
      ...{ memoryTotalBytes: 24_682_416 * 1024, memoryFreeBytes: 24_291_124 * 1024 },
      ...{ swapFreeBytes: 400 * 1024, swapUsedBytes: 600 * 1024 },
    });
    expect(parseMemory('MemTotal: 5 kB\nMemAvailable: 4 kB\n')).toEqual({
      ...{ memoryTotalBytes: 5 * 1024, memoryFreeBytes: 4 * 1024 },
    });
  });

  it('disks: whole ones, and only real ones', () => {
    const line = (name: string, read: number, written: number) =>
      `   8       0 ${name} 10 0 ${read} 4 20 0 ${written} 9 0 1 1 0 0 0 0 0 0`;
    const text = [
      ...[line('loop0', 7, 7), line('ram0', 7, 7), line('zram0', 7, 7), line('dm-0', 7, 7)],
      ...[line('sda', 100, 200), line('sda1', 60, 100), line('sda2', 40, 100)],
      ...[line('nvme0n1', 1000, 2000), line('nvme0n1p1', 1000, 2000), line('vda', 1, 1)],
      ...['bad line', line('xvda1', 10, 20)],
    ].join('\n');

    // The last has no whole disk beside it: some virtual machines show only the partition.
    expect(parseDisks(text)).toEqual({ readBytes: 1111 * 512, writtenBytes: 2221 * 512 });
  });

  it('network: not the loopback, not what a real interface counts too', () => {
    const text = `Inter-|   Receive                            |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 86443 53 0 0 0 0 0 0 86443 53 0 0 0 0 0 0
  eth0: 2016001371   48441    0    0    0     0          0         0  3430930   30583    0 0 0 0 0 0
wlan0:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
docker0: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
veth12ab: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
`;

    expect(parseNetwork(text)).toEqual({ receivedBytes: 2_016_001_376, sentBytes: 3_430_937 });
  });

  it.each(garbage)('anything else is nothing: %j', (text) => {
    expect(parseCpuTimes(text) ?? { busy: 0 }).not.toHaveProperty('busy', Number.NaN);
    expect(parseMemory(text)).toBeUndefined();
    expect(parseDisks(text)).toBeUndefined();
    expect(parseNetwork(text)).toBeUndefined();
  });
});
