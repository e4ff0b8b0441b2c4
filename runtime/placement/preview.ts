import type { Decision, PlacementPreview, PossiblePlace } from '../../sdk/client/api.ts';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { chooseDevices, withInstance } from '../../sdk/fit.ts';
import type { Attempt } from './attempt.ts';
import { besideOf, candidateNodes } from './candidate-nodes.ts';
import { surveyNodes } from './node-survey.ts';
import type { ClusterView } from './placement.ts';

function placesOn(attempt: Attempt, view: ClusterView): readonly NodeSnapshot[] {
  if (attempt.refusal(view)) return [];
  const { ledger, snapshots } = attempt.parts;
  const { nodes } = snapshots.of(view);
  const rules = attempt.rulesOf({ view });
  const survey = surveyNodes(rules, ledger.cluster(view.spec.id), nodes);
  const placed = ledger
    .promised(view.spec.id)
    .map(({ blockId, nodeId }) => ({ blockId, nodeId, tags: attempt.tagsOf(blockId) }));
  return candidateNodes(rules, survey, besideOf(attempt.block), placed).nodes;
}

/**
 * @param decision - the dry run of the same request: its scores and its choice are shown
 * @param limit - places listed; all are counted
 */
export function possiblePlaces(
  attempt: Attempt,
  decision: Decision,
  limit: number,
): PlacementPreview {
  const { resources } = attempt.block;
  const { clusterId: chosenCluster, instances = [] } = decision.plan ?? {};
  const chosen = new Map(instances.map((instance) => [instance.nodeId, instance]));
  let nodes = 0;
  const places: PossiblePlace[] = [];
  for (const view of attempt.clusters) {
    const { id } = view.spec;
    const scores = attempt.draft.scoresOf(id);
    const { nodes: all } = attempt.parts.snapshots.of(view);
    const whole = new Map(all.map((node) => [node.id, node]));
    nodes += all.length;
    for (const node of placesOn(attempt, view)) {
      const taken = id === chosenCluster ? chosen.get(node.id) : undefined;
      const devices = taken?.gpus.map(({ index }) => index) ?? chooseDevices(node, resources);
      if (!devices) continue;
      const score = scores.get(node.id);
      places.push({
        clusterId: id,
        nodeId: node.id,
        gpus: devices,
        ...(score === undefined ? {} : { score }),
        leaves: withInstance(whole.get(node.id) ?? node, resources, devices).free,
        chosen: taken !== undefined,
      });
    }
  }
  const order = ({ chosen: isChosen, score = -1 }: PossiblePlace) => (isChosen ? 2 : score);
  places.sort((a, b) => order(b) - order(a) || (a.nodeId < b.nodeId ? -1 : 1));
  return {
    decision,
    places: places.slice(0, limit),
    counts: { places: places.length, nodes, clusters: attempt.clusters.length },
  };
}
