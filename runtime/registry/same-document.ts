import { isDeepStrictEqual } from 'node:util';
import type { ResourceKind, ResourceSpecs } from '../../sdk/client/api.ts';

/** A block without what it only would rather have: a model that is split again may mean its shards for other nodes. */
function demands(value: unknown): unknown {
  const block = value as ResourceSpecs['block'];
  const { placement, ...rest } = block;
  if (!placement) return block;
  const { affinity, antiAffinity, tolerations, nodeAffinity } = placement;
  const required = nodeAffinity?.required;
  const rules = { affinity, antiAffinity, tolerations };
  const none = Object.values(rules).every((list) => list.length === 0) && required === undefined;
  return none ? rest : { ...rest, placement: { ...rules, required } };
}

/** Whether a stored document will do for one that a plan brings. */
export const isSameDocument = (kind: ResourceKind, stored: unknown, brought: unknown): boolean =>
  isDeepStrictEqual(stored, brought) ||
  (kind === 'block' && isDeepStrictEqual(demands(stored), demands(brought)));
