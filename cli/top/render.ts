import { formatBytes } from '../../sdk/units.ts';
import type { Context } from '../context.ts';
import type { TopShard, TopVdag, TopView } from './readings.ts';

type Renderer = Pick<Context, 'style' | 'table'>;

const none = '–';
const shown = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? none : text(value);
const rate = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
const bytes = (value: number): string => formatBytes(Math.round(value));
const percent = (value: number): string => `${Math.round(value * 100)} %`;

const vdagTitles = [
  ...['vdag', 'state', '>tokens/s', '>prompt/s', '>sessions'],
  ...['>waiting', '>first token', '>busy/s'],
];

function vdagRow(vdag: TopVdag, { style }: Renderer): readonly string[] {
  const { openSessions, slots, waiting = 0 } = vdag;
  return [
    vdag.uri,
    vdag.ready ? style.good('ready') : style.warn('waiting'),
    shown(vdag.tokensPerSecond, rate),
    shown(vdag.promptTokensPerSecond, rate),
    shown(openSessions, (open) => (slots === undefined ? String(open) : `${open} of ${slots}`)),
    waiting > 0 ? style.warn(String(waiting)) : shown(vdag.waiting, String),
    shown(vdag.timeToFirstTokenMs, (ms) => `${ms.toFixed(0)} ms`),
    shown(vdag.busyPerSecond, rate),
  ];
}

const shardTitles = [
  ...['shard', 'node', 'state', '>sessions', '>kv', '>queue', '>batch', '>mean'],
  ...['>computing', '>wait/step', '>in/s', '>out/s', '>memory'],
];

function shardRow(shard: TopShard, { style }: Renderer): readonly string[] {
  const { kvTokens, kvCapacityTokens, state, computeFraction = 0 } = shard;
  // A part of a graph that is no language model holds no keys and values, and computes each packet alone.
  const isModel = kvCapacityTokens > 0;
  const busy = computeFraction > 0.9 ? style.warn : (text: string) => text;
  return [
    shard.instanceId,
    shard.nodeId,
    state === 'ready' ? style.good(state) : style.bad(state),
    `${shard.openSessions} of ${shard.slots}`,
    isModel ? percent(kvTokens / kvCapacityTokens) : none,
    shard.queuedSteps > 0 ? style.warn(String(shard.queuedSteps)) : '0',
    isModel ? String(shard.lastBatchSteps) : none,
    shown(shard.meanBatchSteps, (mean) => mean.toFixed(1)),
    busy(shown(shard.computeFraction, percent)),
    shown(shard.waitPerStepMs, (ms) => `${ms.toFixed(1)} ms`),
    shown(shard.bytesInPerSecond, bytes),
    shown(shard.bytesOutPerSecond, bytes),
    shown(shard.residentBytes, bytes),
  ];
}

/** One table a kind, the busiest first. */
export function renderTop(view: TopView, renderer: Renderer): string {
  const speed = ({ tokensPerSecond = 0 }: TopVdag) => tokensPerSecond;
  const vdags = view.vdags.toSorted((a, b) => speed(b) - speed(a));
  const sections = [
    vdags.length === 0
      ? 'no vDAGs yet'
      : renderer.table(
          vdagTitles,
          vdags.map((vdag) => vdagRow(vdag, renderer)),
        ),
  ];
  if (view.shards.length > 0) {
    sections.push(
      renderer.table(
        shardTitles,
        view.shards.map((shard) => shardRow(shard, renderer)),
      ),
    );
  }
  return sections.join('\n\n');
}
