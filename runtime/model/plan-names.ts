import type { GraphSpec, StageSpec } from '../../sdk/spec/component.ts';
import { openHash, type SplitPlan } from '../../sdk/spec/plan.ts';
import { hashBytes, shortHash } from './hash.ts';

const releaseTag = 'stable';
/** Of what has hashes that are not known yet: it can have no name of its own. */
const openVersion = 'open';

type Component = SplitPlan['components'][number];
type Named = Pick<Component, 'name' | 'version'>;

/** A component whose name ends in a hash of all that it stands for. */
export function shardComponent(name: string, part: { stage: StageSpec } | { graph: GraphSpec }) {
  const spec = 'stage' in part ? part.stage : part.graph;
  const isOpen = spec.stageHash === openHash;
  const version = isOpen ? openVersion : shortHash(hashBytes(JSON.stringify(spec)));
  const uri = `model.${name}:${version}-${releaseTag}`;
  return { uri, componentType: 'model', name, version, releaseTag, ...part };
}

export const shardBlockId = ({ name, version }: Named) => `${name}-${version.slice(0, 6)}`;

/** @param rest - what the vDAG is beside its components, if anything */
export function vdagNames(
  name: string,
  components: readonly (Named & { readonly uri: string })[],
  rest?: unknown,
) {
  const uris = components.map(({ uri }) => uri);
  const isOpen = components.some(({ version }) => version === openVersion);
  const content = JSON.stringify(rest === undefined ? uris : [uris, rest]);
  const version = isOpen ? openVersion : shortHash(hashBytes(content));
  return { uri: `${name}:${version}-${releaseTag}`, name, version, releaseTag };
}
