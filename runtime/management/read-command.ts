import { z } from 'zod';
import { SpecError } from '../../sdk/errors.ts';
import { type HookName, hookNames } from '../../sdk/hooks.ts';
import type { Json } from '../../sdk/packet.ts';
import { assertBounded } from '../../sdk/spec/bounds.ts';
import { parseAs } from '../../sdk/spec/parse.ts';
import { oneOf, Reading } from '../../sdk/spec/reading.ts';
import { unwrapEnvelope } from '../../sdk/spec/source.ts';

/** A command, and whom it is for. */
export interface ManagementCommand {
  /** `block/ocr`, `cluster/home`, `network`, `function/counter:1.0.0-stable`. */
  readonly target: string;
  readonly hook: HookName;
  /** Of a pre-check, which has a policy for each action. */
  readonly preCheck?: string;
  readonly command: string;
  readonly data: Json;
}

const text = z.string().min(1).max(500);
const data = z.json().default({}) as z.ZodType<Json>;

const plain = z.strictObject({
  target: text
    .regex(/^(?:network|(?:block|cluster|function)\/.+)$/)
    .describe('block/ID, cluster/ID, network or function/URI'),
  hook: text.optional(),
  command: text,
  data,
});

/** What AIOS calls the processes that hold a block's policies. */
const services: Readonly<Record<string, HookName>> = {
  executor: 'loadBalancer',
  autoscaler: 'autoscaler',
  health: 'stabilityChecker',
  stability: 'stabilityChecker',
  stability_checker: 'stabilityChecker',
};

const aios = z.strictObject({
  blockId: z.string().max(500).default(''),
  clusterId: z.string().max(500).default(''),
  /** Policies are of the block here, not of an instance. */
  instanceId: z.string().max(500).optional(),
  service: text,
  mgmtCommand: text,
  mgmtData: data,
});

function refuse(path: string, message: string, expected: string, seen?: string): never {
  throw new SpecError('SPEC_INVALID', `the command: ${path} ${message}.`, {
    problems: [{ path, message, expected, ...(seen === undefined ? {} : { seen }) }],
  });
}

/** Hooks whose policies keep something at each kind of place: elsewhere nobody would read what a command changed. */
const hooksAt: Readonly<Record<string, readonly HookName[]>> = {
  block: [
    ...(['loadBalancer', 'autoscaler', 'stabilityChecker', 'failurePolicy'] as const),
    ...(['clusterAllocator', 'resourceAllocator', 'preemption'] as const),
  ],
  cluster: ['stabilityChecker', 'preCheck'],
  network: ['preCheck'],
};

/** `preCheck.add_block` names one of a hook's policies. */
function readHook(target: string, given: string | undefined) {
  if (target.startsWith('function/')) {
    if (given === undefined || given === 'function') return { hook: 'function' as const };
    refuse('$.hook', 'is not that of a function', "no hook, or 'function'", given);
  }
  const place = target.split('/')[0] ?? '';
  const known = hooksAt[place] ?? [];
  const expected = oneOf(known);
  if (given === undefined) refuse('$.hook', 'is missing', expected);
  const [hook = '', preCheck] = given.split('.');
  if (!(known as readonly string[]).includes(hook)) {
    const isHook = (hookNames as readonly string[]).includes(hook);
    const message = isHook ? `keeps nothing at a ${place}` : 'is no hook';
    refuse('$.hook', message, expected, given);
  }
  if ((hook === 'preCheck') !== (preCheck !== undefined)) {
    refuse('$.hook', 'names no one policy', "a hook, or 'preCheck.add_block' and its like", given);
  }
  return { hook: hook as HookName, ...(preCheck === undefined ? {} : { preCheck }) };
}

function readAios(value: unknown, at: string): ManagementCommand {
  const { blockId, clusterId, service, mgmtCommand, mgmtData } = parseAs(
    'the command',
    aios,
    value,
    at,
  );
  if (blockId === '' && clusterId === '') {
    refuse(`${at}.blockId`, 'is missing', 'blockId, or clusterId for the policy of a cluster');
  }
  const hook = Object.hasOwn(services, service) ? services[service] : undefined;
  if (hook === undefined) {
    const why =
      service === 'instances'
        ? 'is of the block’s own code, which takes no commands here'
        : 'is no service';
    refuse(`${at}.service`, why, `one of: ${Object.keys(services).join(', ')}`, service);
  }
  const target = blockId === '' ? `cluster/${clusterId}` : `block/${blockId}`;
  return { target, hook, command: mgmtCommand, data: mgmtData };
}

/**
 * Reads `{target, hook, command, data}`, or what AIOS's `executeMgmtCommand` takes, in its envelope or bare.
 *
 * @throws {SpecError} SPEC_INVALID
 */
export function readCommand(document: unknown): ManagementCommand {
  assertBounded('command', document);
  const { values, wrapped } = unwrapEnvelope(new Reading(), { value: document, path: '$' });
  const isAios =
    wrapped ||
    (typeof values.value === 'object' && values.value !== null && 'mgmtCommand' in values.value);
  if (isAios) return readAios(values.value, values.path);
  const { target, hook, ...rest } = parseAs('the command', plain, document);
  return { target, ...readHook(target, hook), ...rest };
}
