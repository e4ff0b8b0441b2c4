import { type Declared, firstToGo } from './declared.ts';
import type { Instance } from './instance.ts';
import type { InstanceSet } from './instance-set.ts';
import type { Orders } from './orders.ts';
import type { Workload } from './workload.ts';

/**
 * Too many, or running what the block was before it was replaced: one at a time, and only while the others serve.
 *
 * @param settled - those that are to stay
 */
export async function retireSuperfluous(
  set: InstanceSet,
  orders: Pick<Orders, 'replace'>,
  settled: readonly Instance[],
  { wanted, scale }: Declared,
  workload: Workload,
): Promise<void> {
  const surplus = settled.length - wanted;
  if (surplus > 0) await set.retire(firstToGo(settled, scale?.remove).slice(0, surplus));
  const outdated = set.all.filter((i) => i.document.workloadHash !== workload.hash);
  const others = set.all.filter((instance) => !outdated.includes(instance));
  const [next] = outdated;
  if (!next || !others.every(({ state }) => state === 'ready')) return;
  // The only one goes on until another is ready, where there is room for both.
  const alone = others.length === 0 && next.state === 'ready' && wanted > 0;
  if (alone && orders.replace(next.id, 'its block was replaced')) return;
  await set.retire([next]);
}
