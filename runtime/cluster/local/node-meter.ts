import os from 'node:os';
import type { NodeMeasurement } from '../../../sdk/cluster.ts';
import type { ClusterSpec } from '../../../sdk/spec/cluster.ts';
import { createGpuMeter, type GpuMeter } from './gpu-meter.ts';
import { createMachineMeter } from './machine-meter.ts';
import { processUsage } from './processes.ts';
import { createSpeedProbe, type SpeedProbe } from './speed-probe.ts';

export interface MeteredProcess {
  readonly instanceId: string;
  readonly nodeId: string;
  readonly pid: number;
}

export type NodeMeter = (
  tenant: string,
  cluster: ClusterSpec,
  processes: readonly MeteredProcess[],
) => Promise<ReadonlyMap<string, NodeMeasurement>>;

interface Sample {
  readonly atMs: number;
  readonly cpuSeconds: number;
}

/** Of all cores: a machine that uses less has one to spare. */
const idleFraction = 0.5;
/** Nodes of every local cluster on this machine have the same. */
const machineId = `local:${os.hostname()}`;

/**
 * Measures the nodes of local clusters. They all share this machine, so a measurement has two parts. Of the node's own
 * processes: `memoryUsedBytes`, `cpuUsedCores`, `processes`. Of the machine, the same for each of its nodes: loads, storage
 * (the disk that `directory` lies on), network, `machine` and `gpus`. A node's device `n` is the machine's device `n` in the
 * order of `nvidia-smi`, so two nodes that both declare a device 0 share it.
 *
 * Rates need two samples: the first answer says 0 cores.
 */
export function createNodeMeter(
  directory: string,
  options: { readonly gpus?: GpuMeter; readonly speed?: SpeedProbe } = {},
): NodeMeter {
  const { gpus: gpuMeter = createGpuMeter(), speed = createSpeedProbe() } = options;
  const readMachine = createMachineMeter({ directory });
  /** By tenant and cluster, then by instance; replaced whole, so that ended processes leave nothing behind. */
  const samples = new Map<string, ReadonlyMap<string, Sample>>();

  return async (tenant, cluster, processes) => {
    const key = JSON.stringify([tenant, cluster.id]);
    const [machine, gpus] = await Promise.all([readMachine(), gpuMeter.read()]);
    const next = new Map<string, Sample>();
    const usages = await Promise.all(
      processes.map(async ({ instanceId, nodeId, pid }) => {
        const used = await processUsage(pid);
        if (!used) return { nodeId, processes: 0, memoryBytes: 0, cores: 0 };
        const sample = { atMs: performance.now(), cpuSeconds: used.cpuSeconds };
        const last = samples.get(key)?.get(instanceId);
        next.set(instanceId, sample);
        const seconds = last ? (sample.atMs - last.atMs) / 1000 : 0;
        const cores = last && seconds > 0 ? (sample.cpuSeconds - last.cpuSeconds) / seconds : 0;
        return { nodeId, processes: 1, memoryBytes: used.residentBytes, cores: Math.max(0, cores) };
      }),
    );
    if (next.size > 0) samples.set(key, next);
    else samples.delete(key);

    const byNode = new Map<string, (typeof usages)[number][]>();
    for (const usage of usages) {
      const here = byNode.get(usage.nodeId) ?? [];
      here.push(usage);
      byNode.set(usage.nodeId, here);
    }
    const atMs = Date.now();
    const weightBytesPerSecond = speed.read((machine.machine?.cpuUsedFraction ?? 1) < idleFraction);
    return new Map(
      cluster.nodes.map(({ id }) => {
        const here = byNode.get(id) ?? [];
        const sum = (pick: (usage: (typeof here)[number]) => number): number =>
          here.reduce((total, usage) => total + pick(usage), 0);
        const measurement: NodeMeasurement = {
          atMs,
          memoryUsedBytes: sum((usage) => usage.memoryBytes),
          cpuUsedCores: sum((usage) => usage.cores),
          processes: sum((usage) => usage.processes),
          machineId,
          ...machine,
          ...(weightBytesPerSecond === undefined
            ? {}
            : { weightBytesPerSecond, speedFrom: 'probe' }),
          ...(gpus ? { gpus } : {}),
        };
        return [id, measurement];
      }),
    );
  };
}
