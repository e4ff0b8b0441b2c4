import { z } from 'zod';
import type { ClusterSnapshot } from '../cluster.ts';
import type { Json } from '../packet.ts';
import type { HookDefinition } from './definition.ts';
import { type BlockView, json } from './views.ts';

/** Every action that changes something, by AIOS's names; `create_cluster` is its other name for `add_cluster`. */
export const preCheckActions = [
  'add_cluster',
  'update_cluster',
  'remove_cluster',
  'add_node',
  'remove_node',
  'add_block',
  'remove_block',
  'scale_block',
  'block_mgmt',
  'cluster_mgmt',
  'add_vdag_controller',
  'remove_vdag_controller',
] as const;
export type PreCheckAction = (typeof preCheckActions)[number];

interface PreCheck<A extends PreCheckAction> {
  readonly action: A;
  /** The network is asked first, then the cluster that the action is about. */
  readonly level: 'network' | 'cluster';
  /**
   * What is about to be done: the document to add, or what names the thing to remove or manage. An answer may rewrite it.
   */
  readonly input: Json;
  /** The cluster that it is about, as it is now. */
  readonly cluster?: ClusterSnapshot;
  readonly block?: BlockView;
  /** Instances that the action touches. */
  readonly instances?: readonly {
    readonly id: string;
    readonly blockId: string;
    readonly nodeId: string;
  }[];
}

export interface AdmissionInputs {
  preCheck: { [A in PreCheckAction]: PreCheck<A> };
}

const verdict = z.union([
  z.strictObject({
    allowed: z.literal(true),
    /** The action goes on with this in place of the input, read and checked like any document. */
    input: json.optional(),
  }),
  z.strictObject({ allowed: z.literal(false), reason: z.string().min(1).max(1000) }),
]);

export const admissionOutputs = {
  preCheck: Object.fromEntries(preCheckActions.map((action) => [action, verdict])) as {
    readonly [A in PreCheckAction]: typeof verdict;
  },
} as const;

export const admissionHooks = {
  preCheck: {
    defaultPolicy: 'allow-all:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'deny',
    persistsState: true,
    helpers: {
      cluster_data: 'input.cluster',
      cluster_metrics: 'input.cluster.nodes',
      get_block_by_id: 'input.block',
      query_blocks: 'input.instances',
    },
    status: 'called',
    description: 'Lets an action that changes something go on, rewrites it, or refuses it.',
  },
} as const satisfies Record<keyof AdmissionInputs, HookDefinition>;
