import type {
  BlockStatus,
  ClusterStatus,
  InstanceStatus,
  SystemStatus,
  VdagStatus,
} from '../sdk/client/api.ts';
import type { NodeCordon } from '../sdk/client/control.ts';
import type { PolicyListing } from '../sdk/client/index.ts';
import type { LayerStatus } from '../sdk/client/layer.ts';
import type { ComponentSpec } from '../sdk/spec/component.ts';
import { formatBytes } from '../sdk/units.ts';
import type { Context } from './context.ts';
import { renderShardLoad } from './shard-load.ts';

type Renderer = Pick<Context, 'style' | 'table'>;

const bytes = (value: number | undefined): string =>
  value === undefined ? '–' : formatBytes(value);

const stateColour = (state: string, { style }: Renderer): string => {
  if (state === 'running' || state === 'ready') return style.good(state);
  return state === 'failed' || state === 'degraded' ? style.bad(state) : style.warn(state);
};

/** One row a node: what is promised of what was declared, and what the processes really use. */
export function renderNodes(clusters: readonly ClusterStatus[], renderer: Renderer): string {
  const health = (healthy: boolean, cordon: NodeCordon | undefined): string => {
    if (cordon) {
      const who = cordon.by === 'operator' ? 'cordoned' : 'cordoned by policy';
      return renderer.style.bad(cordon.reason ? `${who}: ${cordon.reason}` : who);
    }
    return healthy ? renderer.style.good('healthy') : renderer.style.bad('unhealthy');
  };
  const rows = clusters.flatMap(({ spec, nodes, cordons }) =>
    nodes.map(({ id, healthy, capacity, free, measured, gpus, instances }) => [
      spec.id,
      id,
      health(
        healthy,
        cordons?.find(({ nodeId }) => nodeId === id),
      ),
      `${formatBytes(capacity.memoryBytes - free.memoryBytes)} of ${formatBytes(capacity.memoryBytes)}`,
      bytes(measured?.memoryUsedBytes),
      `${(capacity.cpuCores - free.cpuCores).toFixed(1)} of ${capacity.cpuCores}`,
      measured === undefined ? '–' : measured.cpuUsedCores.toFixed(2),
      gpus.length === 0
        ? '–'
        : gpus.map((gpu) => `${gpu.index}: ${bytes(gpu.freeMemoryBytes)} free`).join(', '),
      String(instances),
    ]),
  );
  const titles = ['cluster', 'node', 'health', '>promised', '>measured', '>cpu promised'];
  return renderer.table([...titles, '>cpu used', 'gpus', '>instances'], rows);
}

export function renderBlocks(blocks: readonly BlockStatus[], renderer: Renderer): string {
  const rows = blocks.map(({ spec, state, clusterId, wantedInstances, instances, reason }) => [
    spec.id,
    stateColour(state, renderer),
    clusterId ?? '–',
    `${instances.filter((instance) => instance.state === 'ready').length} of ${wantedInstances}`,
    spec.componentUri,
    reason ?? '',
  ]);
  return renderer.table(['block', 'state', 'cluster', '>ready', 'component', 'reason'], rows);
}

/** One row a process: where it runs, what it was promised and what it really takes. */
export function renderInstances(instances: readonly InstanceStatus[], renderer: Renderer): string {
  const rows = instances.map((instance) => [
    instance.id,
    stateColour(instance.state, renderer),
    `${instance.clusterId}/${instance.nodeId}`,
    instance.pid === undefined ? '–' : String(instance.pid),
    bytes(instance.memoryBytes),
    bytes(instance.residentBytes),
    bytes(instance.aboveEmptyBytes),
    bytes(instance.peakResidentBytes),
    String(instance.restarts),
    instance.counters
      ? `${instance.counters.openSessions} (most ${instance.counters.maxOpenSessions})`
      : '–',
  ]);
  const titles = ['instance', 'state', 'node', '>pid', '>promised', '>resident'];
  return renderer.table([...titles, '>above empty', '>peak', '>restarts', '>sessions'], rows);
}

export function renderVdags(vdags: readonly VdagStatus[], renderer: Renderer): string {
  const { style } = renderer;
  const rows = vdags.map(({ spec, ready, waitingFor }) => [
    spec.uri,
    ready ? style.good('ready') : style.warn('waiting'),
    String(spec.nodes.length),
    spec.generation ? 'language model' : 'graph',
    waitingFor.join(', '),
  ]);
  return renderer.table(['vdag', 'state', '>nodes', 'kind', 'waits for'], rows);
}

export function renderComponents(components: readonly ComponentSpec[], renderer: Renderer): string {
  const rows = components.map(({ uri, stage, artifact }) => [
    uri,
    stage
      ? `layers ${stage.firstLayer}–${stage.lastLayer} (${stage.index + 1} of ${stage.count})`
      : artifact
        ? `code ${artifact.hash.slice(7, 19)}`
        : 'container',
  ]);
  return renderer.table(['component', 'runs'], rows);
}

/** One row a part of a model: who runs it, and for whom. */
export function renderLayers(layers: readonly LayerStatus[], renderer: Renderer): string {
  const rows = layers.map(({ hash, kind, layers: range, fileBytes, blocks, vdags, noted }) => [
    hash.replace('sha256:', '').slice(0, 12),
    range ? `${range[0]}–${range[1]}` : kind,
    formatBytes(fileBytes),
    blocks.map(({ id }) => id).join(', ') || '–',
    `${sum(blocks.map((block) => block.readyInstances))} of ${sum(blocks.map((block) => block.wantedInstances))}`,
    bytes(sum(blocks.map((block) => block.wantedInstances * (block.memoryBytes ?? 0)))),
    vdags.join(', ') || (noted?.model ?? '–'),
  ]);
  const titles = ['layer', 'layers', '>files', 'blocks', '>ready', '>memory', 'vdags'];
  return renderer.table(titles, rows);
}

const sum = (values: readonly number[]): number => values.reduce((total, one) => total + one, 0);

export function renderPolicies(policies: readonly PolicyListing[], renderer: Renderer): string {
  const rows = [...policies]
    .sort((a, b) => a.hook.localeCompare(b.hook) || a.uri.localeCompare(b.uri))
    .map(({ hook, uri, origin, description }) => [hook, uri, origin ?? 'uploaded', description]);
  return renderer.table(['hook', 'policy', 'origin', 'when to choose it'], rows);
}

/** The whole system on one screen. */
export function renderSystem(status: SystemStatus, renderer: Renderer): string {
  const { style } = renderer;
  const sections: string[] = [
    `${style.bold(`aios ${status.version}`)}  ${style.dim(`pid ${status.pid}, up since ${new Date(status.startedAtMs).toISOString()}, data in ${status.dataDirectory}`)}`,
  ];
  if (status.clusters.length === 0) {
    sections.push('no clusters yet; declare one: aios create-cluster --help');
  } else {
    sections.push(renderNodes(status.clusters, renderer));
  }
  if (status.blocks.length > 0) {
    const instances = status.blocks.flatMap((block) => block.instances);
    sections.push(renderBlocks(status.blocks, renderer), renderInstances(instances, renderer));
    if (instances.some(({ counters }) => counters)) {
      sections.push(renderShardLoad(instances, renderer));
    }
  }
  if (status.vdags.length > 0) sections.push(renderVdags(status.vdags, renderer));
  return sections.join('\n\n');
}
