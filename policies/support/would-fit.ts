import type { HookInput } from '../../sdk/hooks.ts';
import { formatBytes } from '../../sdk/units.ts';
import { fewest } from './fewest.ts';
import { createSizer, cutEvenly } from './partition.ts';

type Question = HookInput<'splitPlanner'>;
type Model = Question['model'];

/** Of the largest nodes: more memory on a small one rarely needs to be less. */
const triedNodes = 4;
/** Halvings of a search: the answer is right to a thousandth. */
const halvings = 10;
/** Contexts are named in steps of this. */
const contextStep = 64;
/** What the layers of a model that multiplies in fp32 take of it, once loaded; scales included, and rounded up. */
const lighter = [
  ['int8', 0.4],
  ['int4', 0.25],
] as const;

const free = (nodes: Question['nodes']): number[] =>
  nodes.map((node) => node.freeMemoryBytes).sort((a, b) => b - a);

const scaled = (model: Model, weights: number, kv: number): Model => ({
  ...model,
  headBytes: model.headBytes * weights,
  layers: model.layers.map(({ residentBytes, kvBytes }) => ({
    residentBytes: residentBytes * weights,
    kvBytes: kvBytes * kv,
  })),
});

/** The least of 0 to 1 that does, given that more never hurts; undefined where 1 does not. */
function least(does: (part: number) => boolean): number | undefined {
  if (!does(1)) return undefined;
  let [high, low] = [1, 0];
  for (let step = 0; step < halvings; step += 1) {
    const middle = (high + low) / 2;
    if (does(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** The one node that needs the least more, with all others as they are. */
function moreMemory({ model, nodes }: Question): string | undefined {
  const whole = createSizer(model)(0, model.layers.length);
  const largest = [...nodes].sort((a, b) => b.freeMemoryBytes - a.freeMemoryBytes);
  let best: { readonly name: string; readonly bytes: number } | undefined;
  for (const node of largest.slice(0, triedNodes)) {
    const others = nodes.filter((one) => one !== node).map((one) => one.freeMemoryBytes);
    const most = Math.min(whole, best?.bytes ?? whole);
    const part = least((fraction) => {
      const sizes = [...others, node.freeMemoryBytes + fraction * most].sort((a, b) => b - a);
      return fewest(model, sizes) !== undefined;
    });
    const bytes = part === undefined ? Number.POSITIVE_INFINITY : part * most;
    if (bytes < (best?.bytes ?? Number.POSITIVE_INFINITY)) {
      best = { name: `${node.clusterId}/${node.nodeId}`, bytes };
    }
  }
  return best && `${formatBytes(Math.ceil(best.bytes))} more on ${best.name}`;
}

/** Fewer sessions or a shorter context: what their keys and values may take of what was asked for. */
function lessCache({ model, nodes }: Question): string | undefined {
  const { maxSessions, contextTokens } = model;
  const sizes = free(nodes);
  const cut = least((less) => fewest(scaled(model, 1, 1 - less), sizes) !== undefined);
  if (cut === undefined) return undefined;
  const sessions = maxSessions === undefined ? 0 : Math.floor(maxSessions * (1 - cut));
  const steps =
    contextTokens === undefined ? 0 : Math.floor((contextTokens * (1 - cut)) / contextStep);
  const ways = [
    sessions >= 1
      ? `${sessions} session${sessions === 1 ? '' : 's'} at once, not ${maxSessions}`
      : '',
    steps >= 1 ? `a context of ${steps * contextStep} tokens, not ${contextTokens}` : '',
  ].filter(Boolean);
  return ways.length > 0 ? ways.join(', or ') : undefined;
}

function lessWeights({ model, nodes }: Question): string | undefined {
  if (model.weightDtype !== 'fp32' && model.weightDtype !== 'fp16') return undefined;
  const sizes = free(nodes);
  const fit = lighter.find(([, part]) => fewest(scaled(model, part, 1), sizes));
  return fit && `weights as ${fit[0]}`;
}

function moreNodes({ model, nodes }: Question): string {
  const [largest = 0] = free(nodes);
  const count = Math.min(model.layers.length, nodes.length);
  const needed = Math.max(...(cutEvenly(model, count)?.shardBytes ?? []));
  const remedies = [`${count} nodes with at least ${formatBytes(needed)} free each`];
  for (let more = count + 1; more <= Math.min(model.layers.length, count + 64); more += 1) {
    if (Math.max(...(cutEvenly(model, more)?.shardBytes ?? [])) > largest) continue;
    remedies.push(`${more} nodes with ${formatBytes(largest)}`);
    break;
  }
  return remedies.join(', or ');
}

/** A sentence for a model that does not fit: what it needs, what is there, and each single change that would do. */
export function whyNotAndWhatWould(question: Question): string {
  const { model, nodes } = question;
  const whole = createSizer(model)(0, model.layers.length);
  const sizes = free(nodes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const ways = [
    moreMemory(question),
    lessCache(question),
    lessWeights(question),
    moreNodes(question),
  ].filter((way) => way !== undefined);
  return (
    `'${model.name}' needs ${formatBytes(whole)} for weights, KV cache and working memory; ` +
    `${sizes.length} nodes have ${formatBytes(total)} free, the largest ${formatBytes(sizes[0] ?? 0)}. ` +
    `What would fit: ${ways.join(', or ')}.`
  );
}
