import { createHash } from 'node:crypto';
import type { BlockSpec } from '../../sdk/spec/block.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { ComponentSpec } from '../../sdk/spec/component.ts';
import type { InstanceBoot, InstanceFile } from '../cluster/backend.ts';

/** What each instance of a block runs. */
export interface Workload {
  readonly workload: InstanceBoot['workload'];
  readonly files: readonly InstanceFile[];
  readonly threads: number;
  readonly hash: string;
}

const codeFile = 'block.mjs';

function resolveRunnable(
  block: BlockSpec,
  component: ComponentSpec,
): Omit<Workload, 'hash'> | undefined {
  const threads = block.threads ?? 1;
  if (component.stage) {
    const files = component.stage.files.map(({ name, hash }) => ({ name, hash }));
    return { workload: { type: 'stage', stage: component.stage }, files, threads };
  }
  if (component.graph) {
    const files = component.graph.files.map(({ name, hash }) => ({ name, hash }));
    return { workload: { type: 'graph', graph: component.graph }, files, threads };
  }
  if (!component.artifact) {
    const { container } = component;
    return (
      container && { workload: { type: 'container', image: container.image }, files: [], threads }
    );
  }
  return {
    threads,
    files: [{ name: codeFile, hash: component.artifact.hash }],
    workload: {
      type: 'code',
      file: codeFile,
      entry: component.artifact.entry,
      initData: { ...component.initData, ...block.initData },
      settings: { ...component.settings, ...block.settings },
      parameters: { ...component.parameters, ...block.parameters },
    },
  };
}

/** The component's defaults under the block's own; undefined when there is nothing this runtime can run. */
export function resolveWorkload(block: BlockSpec, component: ComponentSpec): Workload | undefined {
  const runnable = resolveRunnable(block, component);
  if (!runnable) return undefined;
  const text = JSON.stringify([runnable, block.resources ?? null]);
  return { ...runnable, hash: createHash('sha256').update(text).digest('hex') };
}

/** Hook → reference; the block's own entry of a hook wins. */
export const resolvePolicies = (
  block: BlockSpec,
  component: ComponentSpec,
): Readonly<Record<string, PolicyReference>> => ({ ...component.policies, ...block.policies });
