import type { GenerationSpec } from '../../sdk/spec/vdag.ts';
import type { ActivationDtype, WireDtype } from '../../sdk/spec/wire-dtype.ts';
import type { RoutedInstance } from '../control-plane.ts';
import { type Metrics, placeOf } from '../metrics/index.ts';

/** What was measured of the way from one shard to the next. */
export interface MeasuredHop {
  readonly bytesPerSecond: number;
  /** One row through the shard before it; absent until it has computed one. */
  readonly stepMs?: number;
}

/** Undefined where nothing was measured yet, and between shards of one node. */
export type MeasuredHops = (
  tenant: string,
  from: Pick<RoutedInstance, 'instanceId' | 'clusterId' | 'nodeId'>,
  to: Pick<RoutedInstance, 'clusterId' | 'nodeId'>,
) => MeasuredHop | undefined;

/** Transfer of a row that is shorter than this part of the step before it is hidden behind steps of others anyway. */
const hiddenFraction = 1 / 10;
/** Nobody waits for less. */
const hiddenMs = 0.1;

/**
 * The dtype of one link under `auto`: fp32 while a row's transfer takes at most a tenth of the step that made it (or
 * 0.1 ms); else fp16; and int8 only where even as fp16 the row takes longer than its step, so that the link is what
 * the model waits for. Links that were not measured stay fp32.
 *
 * @param rowBytes - of one row of activations as fp32
 */
export function autoDtype(rowBytes: number, measured: MeasuredHop | undefined): WireDtype {
  if (!measured) return 'fp32';
  const { bytesPerSecond, stepMs = 0 } = measured;
  const transferMs = (rowBytes / bytesPerSecond) * 1000;
  if (transferMs <= Math.max(hiddenMs, stepMs * hiddenFraction)) return 'fp32';
  return transferMs / 2 > Math.max(hiddenMs, stepMs) ? 'int8' : 'fp16';
}

/**
 * The dtype of each link between a model's shards. Called once an answer: what is computed again after a loss must go
 * the way it went before.
 */
export function chooseWireDtypes(
  { activationDtype = 'fp32', hiddenSize }: Pick<GenerationSpec, 'activationDtype' | 'hiddenSize'>,
  shards: readonly RoutedInstance[],
  measured: (from: RoutedInstance, to: RoutedInstance) => MeasuredHop | undefined = () => undefined,
): readonly WireDtype[] {
  const chosen = (link: number): ActivationDtype =>
    typeof activationDtype === 'string' ? activationDtype : (activationDtype[link] ?? 'fp32');
  return shards.slice(1).map((to, link) => {
    const dtype = chosen(link);
    const from = shards[link];
    if (dtype !== 'auto') return dtype;
    return from && hiddenSize !== undefined
      ? autoDtype(hiddenSize * 4, measured(from, to))
      : 'fp32';
  });
}

/** What running shards told of the ways between their nodes. */
export function measuredHops({ speeds }: Pick<Metrics, 'speeds'>): MeasuredHops {
  return (tenant, from, to) => {
    const { bytesPerSecond } = speeds.link(tenant, placeOf(from), placeOf(to)) ?? {};
    if (bytesPerSecond === undefined) return undefined;
    const stepMs = speeds.stepMs(tenant, from.instanceId);
    return { bytesPerSecond, ...(stepMs === undefined ? {} : { stepMs }) };
  };
}
