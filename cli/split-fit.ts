import type { HookInput, HookOutput } from '../sdk/hooks.ts';
import { fitOf, type PlannerFit } from '../sdk/planner-question.ts';
import { formatBytes } from '../sdk/units.ts';
import type { Context } from './context.ts';

type Question = HookInput<'splitPlanner'>;
export type Nodes = Question['nodes'];
type Node = Nodes[number];

/** What a model is to fit, as the server measured it. */
export type Fit = PlannerFit;

/** What a planner made of it. */
export interface Planned {
  readonly fit: Fit;
  readonly answer: HookOutput<'splitPlanner', 'plan'>;
}

const shownNodes = 5;
/** A node that is slower than this part of the slowest one used is left out for that. */
const slowFraction = 0.8;
const nameOf = ({ clusterId, nodeId }: Node): string => `${clusterId}/${nodeId}`;

/**
 * What the clusters named have for a model, as the server measured it.
 *
 * @throws {AiosError} NOT_FOUND; SPLIT_INFEASIBLE - none of their nodes is healthy and has a core to promise
 */
export async function readFit({ client }: Context, clusters: readonly string[]): Promise<Fit> {
  const found = await Promise.all(clusters.map((id) => client.get('cluster', id)));
  return fitOf(found.map(({ spec, ...cluster }) => ({ ...cluster, id: spec.id })));
}

/** The planner that is asked where nobody named one: the fastest cut needs measured nodes. */
export const plannerFor = ({ nodes }: Fit, otherwise: string): string =>
  nodes.some((node) => node.weightBytesPerSecond !== undefined) ? 'fastest' : otherwise;

const speedText = (bytesPerSecond: number): string => `${formatBytes(bytesPerSecond)}/s of weights`;

function whyLeftOut(node: Node, used: readonly Node[], { links = [] }: Fit): string {
  const speeds = used.flatMap((one) => one.weightBytesPerSecond ?? []);
  const slowest = Math.min(...speeds);
  const speed = node.weightBytesPerSecond;
  if (speed !== undefined && speed < slowest * slowFraction) {
    return `slow: ${speedText(speed)}, against ${speedText(slowest)}`;
  }
  const names = used.map(nameOf);
  const ways = links.filter(
    ({ between }) => between.includes(nameOf(node)) && between.some((name) => names.includes(name)),
  );
  const nearest = Math.min(...ways.map(({ latencyMs }) => latencyMs));
  const usual = Math.min(
    ...links.filter((link) => !ways.includes(link)).map(({ latencyMs }) => latencyMs),
  );
  if (Number.isFinite(nearest) && nearest > 2 * usual) {
    return `far: ${nearest.toPrecision(2)} ms away, where others are ${usual.toPrecision(2)} ms`;
  }
  const smallest = Math.min(...used.map((one) => one.freeMemoryBytes));
  return node.freeMemoryBytes < smallest
    ? `small: ${formatBytes(node.freeMemoryBytes)} free`
    : 'one shard more would be one hop more';
}

/** The planner's answer for programs: which node each shard is meant for, and which are left out. */
export function describeFit({ fit, answer }: Planned) {
  if ('infeasible' in answer || fit.nodes.length === 0) return undefined;
  const { nodes: meant, firstLayers, reason } = answer;
  const used = fit.nodes.filter((node) => meant?.includes(nameOf(node)));
  const left = meant ? fit.nodes.filter((node) => !used.includes(node)) : [];
  return {
    split: firstLayers.length > 1,
    ...(reason === undefined ? {} : { reason }),
    ...(meant ? { nodes: meant } : {}),
    leftOut: left.map((node) => ({ node: nameOf(node), why: whyLeftOut(node, used, fit) })),
  };
}

/** The same in words. */
export function renderFit(planned: Planned | undefined): string[] {
  const fit = planned && describeFit(planned);
  if (!fit) return [];
  const { split, nodes = [], reason, leftOut } = fit;
  const because = reason === undefined ? '' : `: ${reason}`;
  const where = nodes.map((node, shard) => `shard ${shard} on ${node}`).join(', ');
  // A planner that neither chose nodes nor says why.
  if (where === '' && because === '') {
    return [split ? 'the planner splits it, and names no nodes' : 'the planner does not split it'];
  }
  const head = split
    ? `split${where === '' ? '' : `, ${where}`}${because}`
    : `do not split${nodes[0] === undefined ? '' : `, all of it on ${nodes[0]}`}${because}`;
  const shown = leftOut.slice(0, shownNodes).map(({ node, why }) => `leave out ${node}: ${why}`);
  const more = leftOut.length - shown.length;
  return [head, ...shown, ...(more > 0 ? [`leave out ${more} more`] : [])];
}
