import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { createGpuMeter, type GpuMeter } from '../../../runtime/cluster/local/gpu-meter.ts';
import { createMachineMeter } from '../../../runtime/cluster/local/machine-meter.ts';
import { createNodeMeter } from '../../../runtime/cluster/local/node-meter.ts';
import { clusterSpec } from '../../../sdk/spec/cluster.ts';
import { mebibyte } from '../../../sdk/units.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aios-machine-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A program that stands where the driver's tool would be, and writes down that it was called. */
function tool(script: string): string {
  const path = join(folder, 'smi');
  writeFileSync(path, `#!/bin/sh\necho "$@" >> '${folder}/calls'\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}
const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
/** A busy machine may take longer than a reading waits. */
async function known(meter: GpuMeter) {
  for (;;) {
    const found = await meter.read();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const sample = '0, NVIDIA L4, 23034, 1000, 21590, 55, 48, 30.25';

describe('devices', () => {
  it('are read at once, then at most once an interval', async () => {
    const time = { nowMs: 0 };
    const command = tool(`echo '${sample}'`);
    const meter = createGpuMeter({ command, clock: () => time.nowMs, intervalMs: 2000 });
    const first = await Promise.all([known(meter), known(meter), known(meter)]);
    for (let at = 0; at < 20; at += 1) await meter.read();

    expect(first[0]).toMatchObject([{ index: 0, utilizationFraction: 0.55, powerWatts: 30.25 }]);
    expect(first[2]).toEqual(first[0]);
    expect(calls()).toEqual([
      '--query-gpu=index,name,memory.total,memory.used,memory.free,utilization.gpu,temperature.gpu,power.draw --format=csv,noheader,nounits',
    ]);
  });

  it('that the tool stops to report are not known any more; the failure is said once', async () => {
    const time = { nowMs: 0 };
    const warnings: string[] = [];
    const command = tool(
      `test -e '${folder}/broken' && echo 'no driver' && exit 0; echo '${sample}'`,
    );
    const meter = createGpuMeter({
      ...{ command, clock: () => time.nowMs, intervalMs: 1000 },
      warn: (message) => warnings.push(message),
    });
    expect(await known(meter)).toHaveLength(1);
    writeFileSync(join(folder, 'broken'), '');
    // Each read begins one in the background: the driver may be slow.
    while (warnings.length === 0 || calls().length < 5) {
      time.nowMs += 2000;
      await meter.read();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    time.nowMs += 20_000;

    expect(await meter.read()).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('columns')]);
  });

  it('are unknown where the tool fails, hangs or is missing, and nothing else is lost', async () => {
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    expect(await createGpuMeter({ command: tool('exit 9'), warn }).read()).toBeUndefined();
    expect(await createGpuMeter({ command: tool('exec sleep 60'), warn }).read()).toBeUndefined();
    expect(await createGpuMeter({ command: tool('yes'), warn }).read()).toBeUndefined();
    const missing = createGpuMeter({ command: join(folder, 'no-such-tool'), warn });
    expect(await missing.read()).toBeUndefined();
    expect(await missing.read()).toBeUndefined();

    expect(warnings.join('\n')).not.toContain('no-such-tool');
    expect(warnings.join('\n')).toContain('GPUs could not be measured');
  });
});

test('a machine is read from its files, rates from the difference of two readings', async () => {
  const time = { nowMs: 0 };
  mkdirSync(join(folder, 'net'));
  const write = (busy: number, idle: number, sectors: number, bytes: number) => {
    writeFileSync(join(folder, 'stat'), `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\n`);
    writeFileSync(join(folder, 'meminfo'), 'MemTotal: 1000 kB\nMemAvailable: 250 kB\n');
    writeFileSync(
      join(folder, 'diskstats'),
      `8 0 sda 1 0 ${sectors} 0 1 0 ${sectors * 2} 0 0 0 0\n`,
    );
    writeFileSync(
      join(folder, 'net/dev'),
      `eth0: ${bytes} 0 0 0 0 0 0 0 ${bytes * 3} 0 0 0 0 0 0 0\n`,
    );
  };
  const read = createMachineMeter({
    ...{ directory: folder, procFolder: folder, clock: () => time.nowMs, shareMs: 0 },
  });
  write(100, 900, 10, 1000);
  const first = await read();
  time.nowMs = 2000;
  write(130, 970, 30, 5000);
  const second = await read();
  time.nowMs = 4000;
  // The interface was taken down and up: its counters began again.
  write(130, 1070, 30, 10);
  const third = await read();

  expect(first.machine).not.toHaveProperty('cpuUsedFraction');
  expect(first.machine).toMatchObject({ memoryTotalBytes: 1_024_000, memoryFreeBytes: 256_000 });
  expect(first.storageFreeBytes).toBeGreaterThan(0);
  expect(second).toMatchObject({ networkReceivedBytes: 5000, networkSentBytes: 15_000 });
  expect(second.machine).toMatchObject({
    ...{ cpuUsedFraction: 0.3, diskReadBytes: 30 * 512, diskReadBytesPerSecond: 10 * 512 },
    ...{ diskWrittenBytesPerSecond: 20 * 512, networkReceivedBytesPerSecond: 2000 },
    networkSentBytesPerSecond: 6000,
  });
  expect(third.machine).toMatchObject({ cpuUsedFraction: 0, diskReadBytesPerSecond: 0 });
  expect(third.machine).not.toHaveProperty('networkSentBytesPerSecond');
});

test('another operating system, or files that say nothing, leave fields out', async () => {
  for (const procFolder of [undefined, join(folder, 'empty')]) {
    const read = createMachineMeter({ directory: folder, procFolder, shareMs: 0 });
    await read();
    const { machine, ...rest } = await read();

    expect(machine.memoryTotalBytes).toBeGreaterThan(0);
    expect(machine).not.toHaveProperty('diskReadBytes');
    expect(rest).not.toHaveProperty('networkSentBytes');
    expect(JSON.stringify({ machine, rest })).not.toContain('null');
  }
});

test('nodes of one machine share its devices and disks, and have their own processes', async () => {
  const command = tool(`echo '${sample}'`);
  const gpus = createGpuMeter({ command });
  await known(gpus);
  const measure = createNodeMeter(folder, { gpus });
  const node = (id: string) => ({ id, memoryBytes: '1Gi', cpuCores: 1 });
  const cluster = clusterSpec.parse({ id: 'c', nodes: [node('a'), node('b')] });
  const mine = { instanceId: 'i', nodeId: 'a', pid: process.pid };
  await measure('default', cluster, [mine]);
  const found = await measure('default', cluster, [mine]);
  const [a, b] = [found.get('a'), found.get('b')];

  expect(a?.processes).toBe(1);
  expect(a?.memoryUsedBytes).toBeGreaterThan(mebibyte);
  expect(b).toMatchObject({ processes: 0, memoryUsedBytes: 0, cpuUsedCores: 0 });
  expect(b?.gpus).toEqual(a?.gpus);
  expect(a?.gpus?.[0]?.modelName).toBe('NVIDIA L4');
  expect(a?.machineId).toBe(b?.machineId);
  expect(a?.machine?.memoryFreeBytes).toBeLessThanOrEqual(a?.machine?.memoryTotalBytes ?? 0);
});
