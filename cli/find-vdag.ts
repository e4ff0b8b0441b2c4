import type { AiosClient } from '../sdk/client/index.ts';
import { AiosError } from '../sdk/errors.ts';
import { nearest } from '../sdk/nearest.ts';

/**
 * The URI of a vDAG by URI, or by bare name while that is unique, as `chat` and `infer` take it.
 *
 * @throws {AiosError} NOT_FOUND; URI_AMBIGUOUS - details: candidates
 */
export async function findVdag(client: AiosClient, named: string): Promise<string> {
  const specs = (await client.list('vdag')).map(({ spec }) => spec);
  const found = specs.filter((spec) => {
    const names: string[] = [spec.uri, spec.name, `${spec.name}:${spec.version}`];
    return names.includes(named);
  });
  const candidates: string[] = found.map(({ uri }) => uri);
  const [only, ...others] = candidates;
  if (candidates.includes(named)) return named;
  if (only !== undefined && others.length === 0) return only;
  if (only !== undefined) {
    const message = `'${named}' could be any of ${candidates.join(', ')}. Name one of them in full.`;
    throw new AiosError('URI_AMBIGUOUS', message, { details: { candidates } });
  }
  const close = nearest(
    named,
    specs.map(({ uri, name }) => (named.includes(':') ? uri : name)),
  );
  const hint = close === undefined ? 'List them with: aios get vdags' : `Did you mean '${close}'?`;
  throw new AiosError('NOT_FOUND', `vdag '${named}' does not exist. ${hint}`);
}
