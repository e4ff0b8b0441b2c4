import { AiosError } from '../sdk/errors.ts';
import { vdagUri } from '../sdk/ids.ts';
import { nearest } from '../sdk/nearest.ts';
import type { SplitPlan } from '../sdk/spec/plan.ts';
import { type ActivationDtype, activationDtypes } from '../sdk/spec/wire-dtype.ts';

const isDtype = (text: string): text is ActivationDtype =>
  (activationDtypes as readonly string[]).includes(text);

function parse(text: string): readonly ActivationDtype[] {
  return text.split(',').map((part) => {
    const name = part.trim();
    if (isDtype(name)) return name;
    const close = nearest(name, activationDtypes);
    throw new AiosError(
      'REQUEST_INVALID',
      `'${name}' is no activation dtype; expected ${activationDtypes.join(', ')}.${close === undefined ? '' : ` Did you mean '${close}'?`}`,
    );
  });
}

/**
 * The plan with another dtype of activations between its shards. Its vDAG has a version of its own, so that it runs beside
 * the exact one, over the same blocks.
 *
 * @param text - one dtype for all links, or one for each with commas between
 * @throws {AiosError} REQUEST_INVALID - no such dtype, another number of links, or no language model
 */
export function withActivationDtype(plan: SplitPlan, text: string): SplitPlan {
  const dtypes = parse(text);
  const { vdag } = plan;
  const { generation } = vdag;
  if (!generation) {
    throw new AiosError(
      'REQUEST_INVALID',
      `'${plan.model}' is no language model: tensors between its shards keep the dtype that its graph gives them.`,
    );
  }
  const links = generation.stages.length - 1;
  if (dtypes.length !== 1 && dtypes.length !== links) {
    throw new AiosError(
      'REQUEST_INVALID',
      `--activation-dtype names ${dtypes.length} dtypes; '${plan.model}' has ${links} links between shards. Give one for all, or ${links}.`,
    );
  }
  const [first = 'fp32'] = dtypes;
  if (dtypes.every((dtype) => dtype === 'fp32')) return plan;
  const version = `${vdag.version}.${dtypes.join('.')}`;
  const activationDtype = dtypes.length === 1 ? first : [...dtypes];
  return {
    ...plan,
    vdag: {
      ...vdag,
      ...{ version, uri: vdagUri(`${vdag.name}:${version}-${vdag.releaseTag}`) },
      generation: { ...generation, activationDtype },
    },
  };
}
