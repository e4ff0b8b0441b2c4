import { type ResourceKind, resourceKinds } from '../sdk/client/api.ts';

const names = Object.entries(resourceKinds).flat();

/** `block` and `blocks` alike. */
export const kindNames: readonly string[] = names;

export function toKind(name: string): ResourceKind {
  const kinds = Object.keys(resourceKinds) as ResourceKind[];
  return kinds.find((kind) => kind === name || resourceKinds[kind] === name) ?? 'block';
}
