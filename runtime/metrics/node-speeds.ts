import type { NodeMeasurement } from '../../sdk/cluster.ts';

/**
 * Puts what running shards told of the nodes' speed into their measurements. A node where none has decoded is as fast as
 * the others of its machine; before any has, as its backend's own probe says.
 */
export function withSpeeds(
  measured: ReadonlyMap<string, NodeMeasurement>,
  speedOf: (nodeId: string) => number | undefined,
): ReadonlyMap<string, NodeMeasurement> {
  const own = new Map<string, number>();
  const machines = new Map<string, number[]>();
  for (const [id, { machineId }] of measured) {
    const speed = speedOf(id);
    if (speed === undefined) continue;
    own.set(id, speed);
    if (machineId !== undefined)
      machines.set(machineId, [...(machines.get(machineId) ?? []), speed]);
  }
  if (own.size === 0) return measured;
  return new Map(
    [...measured].map(([id, measurement]) => {
      const others = machines.get(measurement.machineId ?? '') ?? [];
      const speed = own.get(id) ?? others.reduce((sum, one) => sum + one, 0) / others.length;
      if (!Number.isFinite(speed)) return [id, measurement];
      return [id, { ...measurement, weightBytesPerSecond: speed, speedFrom: 'shards' }];
    }),
  );
}
