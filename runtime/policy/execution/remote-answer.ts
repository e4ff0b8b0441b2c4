import { z } from 'zod';
import type { ErrorCode, PolicyError } from '../../../sdk/errors.ts';
import { documentLimits } from '../../../sdk/spec/bounds.ts';
import { runLimits } from '../runner.ts';

const logs = z.array(z.unknown()).max(10_000).nullish();

/** What an executor answers: AIOS's envelope, and what a policy here may say beside its answer. */
const answer = z.union([
  z.looseObject({
    success: z.literal(true),
    data: z.unknown(),
    state: z.record(z.string(), z.unknown()).nullish(),
    logs,
  }),
  z.looseObject({ success: z.literal(false), message: z.unknown().optional(), logs }),
]);

export interface RemoteAnswer {
  readonly data?: unknown;
  readonly state?: Readonly<Record<string, unknown>> | undefined;
  readonly logs: readonly string[];
  /** Why it failed, in its words. */
  readonly failed?: string;
}

/** A message may be any JSON, and an object's own `toString` is none to call. */
const inWords = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

/** Does not recurse, unlike all that looks at an answer afterwards. */
function isTooDeep(value: unknown): boolean {
  const waiting: (readonly [value: unknown, depth: number])[] = [[value, 0]];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [one, depth] = next;
    if (typeof one !== 'object' || one === null) continue;
    if (depth >= documentLimits.depth) return true;
    for (const inner of Object.values(one)) waiting.push([inner, depth + 1]);
  }
  return false;
}

/** @throws {PolicyError} POLICY_OUTPUT_INVALID - no such form; POLICY_LIMIT_EXCEEDED - nested too deeply */
export function readAnswer(
  document: unknown,
  wrong: (code: ErrorCode, what: string) => PolicyError,
): RemoteAnswer {
  if (isTooDeep(document)) {
    const most = `at most ${documentLimits.depth} levels are read`;
    throw wrong('POLICY_LIMIT_EXCEEDED', `answered what is nested too deeply; ${most}`);
  }
  const parsed = answer.safeParse(document);
  if (!parsed.success) {
    const expected = '{"success": true, "data": …} or {"success": false, "message": …}';
    throw wrong('POLICY_OUTPUT_INVALID', `answered in no form known; expected ${expected}`);
  }
  const { data: given } = parsed;
  const lines = (given.logs ?? []).slice(0, runLimits.logLines).map(inWords);
  return given.success
    ? { data: given.data, state: given.state ?? undefined, logs: lines }
    : { failed: inWords(given.message ?? 'without a message'), logs: lines };
}
