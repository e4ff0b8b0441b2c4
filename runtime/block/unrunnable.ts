import { randomUUID } from 'node:crypto';
import type { Decision } from '../../sdk/client/api.ts';
import type { BlockSpec } from '../../sdk/spec/block.ts';
import type { ClusterView } from '../placement/placement.ts';

/** The decision on a block whose component nothing here can run: every cluster is refused, and no policy asked. */
export function refuseUnrunnable(
  tenant: string,
  { id, componentUri }: Pick<BlockSpec, 'id' | 'componentUri'>,
  fault: string,
  clusters: readonly ClusterView[],
): Decision {
  return {
    id: `decision-${randomUUID()}`,
    tenant,
    blockId: id,
    reason: 'dry-run',
    outcome: 'refused',
    message: `block '${id}': component '${componentUri}' ${fault}.`,
    candidates: clusters.map(({ spec }) => ({
      clusterId: spec.id,
      refusedBy: 'a backend that can run the component',
      seen: spec.backend,
      chosen: false,
    })),
    evaluations: [],
    atMs: Date.now(),
    durationMs: 0,
  };
}
