import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import type { Misfit } from '../../sdk/fit.ts';
import type { BlockView } from '../../sdk/hooks.ts';
import type { DecisionDraft } from './decision.ts';
import type { Candidate } from './dry-run.ts';
import type { PlacementRequest } from './placement.ts';

/** Whether a cluster takes a block that has nothing there yet; nothing where it asks nobody. */
export type Admits = (
  tenant: string,
  block: BlockView,
  clusterId: string,
) =>
  | Promise<{ readonly refused?: Misfit; readonly evaluations: readonly PolicyEvaluation[] }>
  | undefined;

/** Those whose own pre-checks let the block in. One that holds instances of it already is not asked again. */
export async function admitted(
  attempt: {
    readonly parts: { readonly admits: Admits };
    readonly request: PlacementRequest;
    readonly block: BlockView;
    readonly draft: DecisionDraft;
    byPolicy: boolean;
  },
  candidates: readonly Candidate[],
): Promise<readonly Candidate[]> {
  const { parts, request, block, draft } = attempt;
  if (request.onlyClusterId !== undefined) return candidates;
  const admittedOnes: Candidate[] = [];
  for (const candidate of candidates) {
    const { id } = candidate.snapshot;
    const verdict = await parts.admits(request.tenant, block, id);
    if (verdict) draft.evaluations.push(...verdict.evaluations);
    if (!verdict?.refused) {
      admittedOnes.push(candidate);
      continue;
    }
    attempt.byPolicy = true;
    draft.refuse(id, verdict.refused);
  }
  return admittedOnes;
}
