import type { Decision, PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import { useSiteOf, type WatchedBlock, wantedInstances } from '../block/index.ts';
import type { NewDecision } from '../decision/index.ts';
import { chosen } from './chosen.ts';
import { defaultsOf, type ScalingParts } from './parts.ts';
import { preferredNodes } from './preferred-nodes.ts';

type Draft = Pick<NewDecision, 'outcome' | 'message'> & Partial<NewDecision>;

/**
 * Asks a block's autoscaler once and does what it says, within the block's limits. While instances come or go nobody is
 * asked: one change at a time.
 *
 * @returns what was decided, not yet recorded
 */
export async function autoscale(parts: ScalingParts, block: WatchedBlock): Promise<NewDecision> {
  const { tenant, view, declared, clusterId } = block;
  const { wanted } = declared;
  const { minInstances, maxInstances } = view;
  const subject = `block/${view.id}`;
  const decided = (draft: Draft): NewDecision => ({
    ...{ tenant, kind: 'scaling', subject, blockId: view.id, reason: 'scale', evaluations: [] },
    ...draft,
    details: { before: wanted, minInstances, maxInstances, ...draft.details },
  });
  const choice = chosen('autoscaler', declared.policies, ...defaultsOf(parts, tenant, clusterId));
  if (!choice) return decided({ outcome: 'held', message: 'the block has no autoscaler' });
  if (block.moving)
    return decided({ outcome: 'held', message: 'instances are starting or stopping' });
  const metrics = parts.metrics.block(tenant, view.id);
  if (!metrics)
    return decided({ outcome: 'held', message: 'nothing is measured of the block yet' });
  const cluster = clusterId === undefined ? undefined : parts.snapshot(tenant, clusterId);
  const evaluations: PolicyEvaluation[] = [];
  try {
    const { output, evaluation } = await parts.policies.evaluate({
      ...{ tenant, hook: 'autoscaler' as const, action: 'evaluate' as const },
      ...(choice.reference ? { reference: choice.reference } : {}),
      input: { action: 'evaluate', block: view, metrics, ...(cluster ? { cluster } : {}) },
      useSite: useSiteOf(view.id),
      inventoryRevision: parts.inventory.revision,
    });
    evaluations.push(evaluation);
    const by = `'${evaluation.policyUri}'`;
    if ('hold' in output) {
      const why = evaluation.error?.message ?? output.reason;
      return decided({
        ...{ evaluations, outcome: evaluation.error ? 'failed' : 'held' },
        message: `${wanted} stay, by ${by}${why ? `: ${why}` : ''}`,
      });
    }
    const asked = output.instances;
    const clamped = wantedInstances(view, asked);
    const details = { asked, instances: clamped };
    const limited =
      clamped === asked ? '' : ` (asked for ${asked}, limits ${minInstances} to ${maxInstances})`;
    if (clamped === wanted) {
      const message = `${wanted} stay${limited}, by ${by}: ${output.reason}`;
      return decided({ evaluations, outcome: 'held', message, details });
    }
    const prefer = preferredNodes(output.assignments, cluster);
    await parts.scale({
      ...{ tenant, blockId: view.id, instances: clamped, by: 'autoscaler', prefer },
      ...(output.remove ? { remove: output.remove } : {}),
    });
    const message = `${wanted} → ${clamped} instances${limited}, by ${by}: ${output.reason}`;
    const told = prefer.length > 0 ? { ...details, prefer } : details;
    return decided({ evaluations, outcome: 'changed', message, details: told });
  } catch (fault) {
    const { message, details } = AiosError.from(fault);
    const evaluation = details.evaluation as PolicyEvaluation | undefined;
    if (evaluation) evaluations.push(evaluation);
    return decided({ evaluations, outcome: 'failed', message: `${wanted} stay: ${message}` });
  }
}

/** What says the same: the numbers in a reason change with every look. */
const gist = ({ outcome, message }: Pick<Decision, 'outcome' | 'message'>): string =>
  `${outcome} ${message.replace(/\d+(\.\d+)?/g, '#')}`;

/** Which decisions are worth writing down: every change, and of those that change nothing the first that says so. */
export function createNovelty() {
  const last = new Map<string, string>();
  return {
    isNew(decision: NewDecision): boolean {
      const key = JSON.stringify([decision.tenant, decision.kind, decision.subject]);
      const now = gist(decision);
      if (decision.outcome === 'held' && decision.evaluations.length === 0) return false;
      const isNew = decision.outcome === 'changed' || last.get(key) !== now;
      last.set(key, now);
      return isNew;
    },
    /** Forgets what is gone. */
    keepOnly(subjects: ReadonlySet<string>): void {
      for (const key of last.keys()) {
        const [tenant, , subject] = JSON.parse(key) as string[];
        if (!subjects.has(JSON.stringify([tenant, subject]))) last.delete(key);
      }
    },
  };
}
