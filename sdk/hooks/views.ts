import { z } from 'zod';
import type { Json } from '../packet.ts';
import type { PlacementRules, ResourceAmounts } from '../spec/common.ts';

/** A block as policies see it. */
export interface BlockView {
  readonly id: string;
  readonly componentUri: string;
  readonly tenant: string;
  readonly minInstances: number;
  readonly maxInstances: number;
  /** Of one instance. */
  readonly resources: ResourceAmounts;
  readonly tags: readonly string[];
  /** Higher goes first, and may take the place of lower. @default 0 */
  readonly priority?: number;
  /** Affinity and tolerations; the platform enforces what is required. */
  readonly placement?: PlacementRules;
  /** Cluster and node of each instance that runs or is being placed. */
  readonly instances: readonly {
    readonly id: string;
    readonly clusterId: string;
    readonly nodeId: string;
  }[];
}

export const assignment = z.strictObject({
  nodeId: z.string(),
  gpus: z.array(z.number().int().nonnegative()).default([]),
});
/** One instance's place: a node and its devices. */
export type Assignment = z.output<typeof assignment>;

export interface PlanCandidate {
  readonly clusterId: string;
  readonly score: number;
  readonly assignments: readonly Assignment[];
}

/** One request or result, as pre- and post-processing policies see it. */
export interface PacketView {
  readonly sessionId: string;
  readonly sequence: number;
  readonly data: Json;
}

/** Any JSON a policy gives back. */
export const json: z.ZodType<Json> = z.json() as z.ZodType<Json>;
