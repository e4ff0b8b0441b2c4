import type { ResourceKind } from '../sdk/client/api.ts';
import type { AiosClient } from '../sdk/client/index.ts';
import { AiosError } from '../sdk/errors.ts';

interface Named {
  readonly kind: ResourceKind;
  readonly id: string;
}

export interface CascadeOutcome {
  /** In order. */
  readonly deleted: readonly Named[];
  /** What something else still uses. */
  readonly kept: readonly Named[];
}

/** What lies under a vDAG or a block: blocks first, then their components. Nested vDAGs are others' too, so they stay. */
async function thingsUnder(client: AiosClient, { kind, id }: Named): Promise<readonly Named[]> {
  const blockIds =
    kind === 'vdag'
      ? (await client.get('vdag', id)).spec.nodes.flatMap(({ blockId }) => blockId ?? [])
      : [id];
  const components = new Set<string>();
  for (const blockId of blockIds) {
    components.add((await client.get('block', blockId)).spec.componentUri);
  }
  const blocks = kind === 'vdag' ? [...new Set(blockIds)] : [];
  return [
    ...blocks.map((blockId): Named => ({ kind: 'block', id: blockId })),
    ...[...components].map((uri): Named => ({ kind: 'component', id: uri })),
  ];
}

/**
 * Deletes a vDAG with its blocks and their components, or a block with its component: the undoing of `create-plan`.
 * What something else uses is kept.
 *
 * @throws {AiosError} NOT_FOUND; IN_USE - the first thing itself is used; REQUEST_INVALID - nothing lies under the kind
 */
export async function deleteCascade(
  client: AiosClient,
  top: Named,
  onProgress: (now: string) => void,
): Promise<CascadeOutcome> {
  if (top.kind !== 'vdag' && top.kind !== 'block') {
    throw new AiosError(
      'REQUEST_INVALID',
      '--cascade deletes a vdag or a block with what it uses.',
    );
  }
  const under = await thingsUnder(client, top);
  const deleted: Named[] = [];
  const kept: Named[] = [];
  for (const thing of [top, ...under]) {
    onProgress(`deleting ${thing.kind} ${thing.id}`);
    try {
      await client.delete(thing.kind, thing.id);
      deleted.push(thing);
    } catch (error) {
      const { code } = AiosError.from(error);
      if (thing === top || (code !== 'IN_USE' && code !== 'NOT_FOUND')) throw error;
      if (code === 'IN_USE') kept.push(thing);
    }
  }
  return { deleted, kept };
}
