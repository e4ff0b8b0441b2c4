import type { ClusterStatus, PolicyEvaluation, ResourceKind } from '../../sdk/client/api.ts';
import type { SearchResult } from '../../sdk/client/control.ts';
import type { ClusterSnapshot } from '../../sdk/cluster.ts';
import { AiosError } from '../../sdk/errors.ts';
import { readSearch } from '../../sdk/spec/index.ts';
import type { SearchKind } from '../../sdk/spec/search.ts';
import type { DecisionLog } from '../decision/index.ts';
import type { Inventory, MetricsReader } from '../metrics/index.ts';
import { compileEntityFilter, type EntitySubject } from '../placement/index.ts';
import type { PolicyHost } from '../policy/host.ts';

export interface SearchParts {
  /** Statuses and specs, as `aios get` shows them. */
  readonly list: (tenant: string, kind: ResourceKind) => Promise<readonly unknown[]>;
  readonly policies: Pick<PolicyHost, 'evaluate'>;
  readonly metrics: Pick<MetricsReader, 'block' | 'cluster' | 'vdag'>;
  readonly inventory: Pick<Inventory, 'cluster' | 'revision'>;
  readonly snapshot: (tenant: string, clusterId: string) => ClusterSnapshot | undefined;
  readonly decisions: Pick<DecisionLog, 'record'>;
}

interface Found extends EntitySubject {
  readonly id: string;
  readonly document: Readonly<Record<string, unknown>>;
}

function idOf(document: Readonly<Record<string, unknown>>): string {
  const spec = (document.spec ?? document) as { readonly id?: unknown; readonly uri?: unknown };
  return String(spec.id ?? spec.uri ?? document.uri);
}

/** Everything of one kind, with what its filters look at. */
export async function candidatesOf(
  parts: SearchParts,
  tenant: string,
  kind: SearchKind,
): Promise<readonly Found[]> {
  const { inventory, metrics } = parts;
  const clusterOf = (clusterId: unknown): Pick<EntitySubject, 'cluster'> => {
    if (typeof clusterId !== 'string') return {};
    const view = inventory.cluster(tenant, clusterId);
    const snapshot = parts.snapshot(tenant, clusterId);
    return view && snapshot ? { cluster: { spec: view.spec, snapshot } } : {};
  };
  const measured = (id: string) =>
    kind === 'block'
      ? metrics.block(tenant, id)
      : kind === 'vdag'
        ? metrics.vdag(tenant, id)
        : undefined;
  const all = (await parts.list(tenant, kind)) as readonly Readonly<Record<string, unknown>>[];
  return all.map((document): Found => {
    const id = idOf(document);
    const reading = measured(id);
    const clusterId =
      kind === 'cluster' ? (document as unknown as ClusterStatus).spec.id : document.clusterId;
    return { id, document, ...clusterOf(clusterId), ...(reading ? { metrics: reading } : {}) };
  });
}

/** A candidate as ranking policies see it: the declared document with what is measured of it beside. */
function asCandidate({ id, document, metrics }: Found) {
  const spec = document.spec as Readonly<Record<string, unknown>> | undefined;
  const { spec: _spec, ...rest } = document;
  return { ...rest, ...spec, id, ...(metrics ? { metrics } : {}) };
}

/**
 * Filters what there is of one kind, and lets a policy order what passed. Nothing that passes: nobody is asked.
 *
 * @throws {AiosError} SPEC_INVALID, FILTER_INVALID - every problem; what the ranking policy failed with
 */
export async function search(
  parts: SearchParts,
  tenant: string,
  document: unknown,
): Promise<SearchResult> {
  const { value, locate } = readSearch(document);
  const { matchType, filter, rankingPolicyRule, limit } = value;
  const { passes } = compileEntityFilter(matchType, filter, locate(['filter']));
  const found = (await candidatesOf(parts, tenant, matchType)).filter((one) => passes(one));
  const byId = new Map(found.map((one) => [one.id, one]));
  const show = (ranked: readonly { readonly id: string; readonly score?: number | undefined }[]) =>
    ranked.slice(0, limit).flatMap(({ id, score }) => {
      const one = byId.get(id);
      if (!one) return [];
      return [{ id, ...(score === undefined ? {} : { score }), document: one.document }];
    });
  if (found.length === 0) return { matchType, matched: 0, results: [] };
  const decided = (
    outcome: 'answered' | 'failed',
    message: string,
    evaluation?: PolicyEvaluation,
  ) =>
    parts.decisions.record({
      ...{ tenant, kind: 'search', subject: `search/${matchType}`, reason: 'request' },
      ...{ outcome, message, evaluations: evaluation ? [evaluation] : [] },
      details: { matched: found.length, limit },
    });
  try {
    const { output, evaluation } = await parts.policies.evaluate({
      ...{ tenant, hook: 'ranking' as const, action: 'rank' as const },
      ...(rankingPolicyRule ? { reference: rankingPolicyRule } : {}),
      input: {
        action: 'rank',
        matchType,
        // Policies freeze what they are given, and these are live.
        candidates: structuredClone(found.map(asCandidate)),
      },
      useSite: `search/${matchType}`,
      inventoryRevision: parts.inventory.revision,
    });
    const results = show(output.ranked);
    const best = results[0] ? `, best '${results[0].id}'` : '';
    const message = `${found.length} ${matchType}s ranked by '${evaluation.policyUri}'${best}`;
    const { id } = decided('answered', message, evaluation);
    return { matchType, matched: found.length, decisionId: id, results };
  } catch (fault) {
    const error = AiosError.from(fault);
    decided('failed', error.message, error.details.evaluation as PolicyEvaluation | undefined);
    throw error;
  }
}
