import { AiosError } from '../../sdk/errors.ts';
import type { VdagSpec } from '../../sdk/spec/vdag.ts';
import { type Documents, notFound } from './documents.ts';

/**
 * A vDAG by URI, or by bare name (`tiny`) or tagless version (`tiny:1.0.0`) while that is unique.
 *
 * @throws {AiosError} NOT_FOUND; URI_AMBIGUOUS - details: candidates
 */
export async function resolveVdag(
  documents: Documents,
  tenant: string,
  name: string,
): Promise<VdagSpec> {
  const exact = await documents.get(tenant, 'vdag', name);
  if (exact) return exact.value;
  const all = await documents.list(tenant, 'vdag');
  const found = all.filter(
    ({ value }) => value.name === name || `${value.name}:${value.version}` === name,
  );
  const [only, ...others] = found;
  if (!only) throw notFound('vdag', name);
  if (others.length === 0) return only.value;
  const candidates = found.map(({ id }) => id);
  throw new AiosError(
    'URI_AMBIGUOUS',
    `'${name}' could be any of ${candidates.join(', ')}. Name one of them in full.`,
    { details: { candidates } },
  );
}
