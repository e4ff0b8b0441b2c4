import { createHash } from 'node:crypto';

/**
 * Who takes turns with others at a model: the API key, or without keys what the request names as its `user`. A user's
 * name may be long, and a person's: it goes no further than here.
 */
export function clientOf(keyName: string | undefined, user?: string): string | undefined {
  if (keyName !== undefined) return keyName;
  if (user === undefined || user === '') return undefined;
  return `user-${createHash('sha256').update(user).digest('hex').slice(0, 16)}`;
}
