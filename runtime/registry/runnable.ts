import type { ComponentSpec } from '../../sdk/spec/component.ts';

/** Why nothing of this component can run here, without its subject; undefined when it can. */
export function whyNotRunnable({
  artifact,
  stage,
  container,
}: Pick<ComponentSpec, 'artifact' | 'stage' | 'container'>): string | undefined {
  if (artifact || stage) return undefined;
  return container
    ? 'has only a container image, and no cluster backend here runs containers; give it code (artifact)'
    : "has neither code (artifact) nor a model's stage";
}
