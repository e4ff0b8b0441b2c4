import { AiosError } from '../../../sdk/errors.ts';
import type { ControlPlane } from '../../control-plane.ts';

const maxShown = 20;

/** OpenAI's clients know models, and no vDAGs: says which there are. @returns other faults as they came */
export async function missingModel(
  controlPlane: Pick<ControlPlane, 'models'>,
  tenant: string,
  asked: string,
  fault: unknown,
): Promise<unknown> {
  const { code, details } = AiosError.from(fault);
  if (code !== 'NOT_FOUND' || details.kind !== 'vdag' || details.id !== asked) return fault;
  const ids = (await controlPlane.models(tenant)).map(({ id }) => id);
  const more = ids.length > maxShown ? ` and ${ids.length - maxShown} more` : '';
  const known = ids.length === 0 ? 'none yet' : `${ids.slice(0, maxShown).join(', ')}${more}`;
  return new AiosError('NOT_FOUND', `there is no model '${asked}'; there is ${known}.`, {
    cause: fault,
    details: { kind: 'model', id: asked },
  });
}
