import type { ComponentSpec } from '../../sdk/spec/component.ts';

type Runs = Pick<ComponentSpec, 'artifact' | 'stage' | 'graph' | 'container'>;

/** Why nothing of this component can run anywhere, without its subject; undefined when it can. */
export const whyNotRunnable = ({ artifact, stage, graph, container }: Runs): string | undefined =>
  artifact || stage || graph || container
    ? undefined
    : "has neither code (artifact) nor a model's stage";

/** What to know of a component that can run, but not on every cluster; without its subject. */
export const whyNotEverywhere = ({
  artifact,
  stage,
  graph,
  container,
}: Runs): string | undefined =>
  container && !artifact && !stage && !graph
    ? 'has only a container image, and of the backends here only the simulated one takes those; give it code (artifact) to run'
    : undefined;
