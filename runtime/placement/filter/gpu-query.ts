import type { GpuSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
import { asNumber } from './coerce.ts';
import { all } from './condition.ts';
import { gpuVocabulary } from './gpu-variables.ts';
import { maskOneByOne } from './leaf.ts';
import { NodeRun } from './node-table.ts';
import { ConditionReader, isFields, type Reading } from './reader.ts';
import { showJson } from './show.ts';
import type { Condition } from './subject.ts';

/** So many devices of a node must pass. */
export interface GpuQuery {
  readonly count: number;
  readonly where: Condition<GpuSnapshot>;
}

const maxCount = 1024;
const conditionKeys = ['variable', 'aggOperator', 'logicalOperator', 'conditions'];

/** Reads `{count?, where}`, or `count` beside a condition's own keys. */
export function readGpuQuery(value: unknown, path: string, reading: Reading): GpuQuery {
  const reader = new ConditionReader(gpuVocabulary, reading);
  const anyDevice = { count: 1, where: all<GpuSnapshot>([]) };
  if (!isFields(value)) {
    reading.refuse(path, {
      message: 'is no condition on GPUs',
      expected: '{count, where}, where is a condition such as {variable, operator, value}',
      seen: showJson(value),
    });
    return anyDevice;
  }
  const { count = 1, where, ...rest } = value;
  const number = asNumber(count);
  if (!(Number.isInteger(number) && number >= 1 && number <= maxCount)) {
    reading.refuse(`${path}.count`, {
      message: 'is no number of devices',
      expected: `1 to ${maxCount}`,
      seen: showJson(count),
    });
  }
  const isCondition = conditionKeys.some((key) => Object.hasOwn(rest, key));
  let condition: Condition<GpuSnapshot> | undefined;
  if (where === undefined && isCondition) {
    const isList = Object.hasOwn(rest, 'conditions') && !Object.hasOwn(rest, 'logicalOperator');
    condition = reader.read(isList ? { logicalOperator: 'AND', ...rest } : rest, path);
  } else {
    reading.keys(value, path, ['count', 'where']);
    if (where !== undefined) condition = reader.read(where, `${path}.where`);
  }
  return { count: number, where: condition ?? anyDevice.where };
}

function bitCount(bits: number): number {
  let left = bits - ((bits >>> 1) & 0x55555555);
  left = (left & 0x33333333) + ((left >>> 2) & 0x33333333);
  return Math.imul((left + (left >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** How many of the bits from `start` to before `end` are set. */
function countBits(words: Int32Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; ) {
    const shift = at & 31;
    const length = Math.min(32 - shift, end - at);
    const mask = length === 32 ? -1 : (1 << length) - 1;
    count += bitCount(((words[at >> 5] ?? 0) >>> shift) & mask);
    at += length;
  }
  return count;
}

/** As a condition on nodes: at least `count` devices pass. */
export function onDevices({ count, where }: GpuQuery): Condition<NodeSnapshot> {
  const devices = `${count} GPU${count === 1 ? '' : 's'}`;
  const text = where.text === '' ? devices : `${devices} with ${where.text}`;
  const { passes: passesDevice } = where;
  const passes = ({ gpus }: NodeSnapshot): boolean => {
    let missing = count;
    for (const gpu of gpus) {
      if (passesDevice(gpu)) missing -= 1;
      if (missing === 0) return true;
    }
    return false;
  };
  const oneByOne = maskOneByOne(passes);
  return {
    text,
    passes,
    test(node) {
      if (passes(node)) return undefined;
      const passing = node.gpus.filter(passesDevice).length;
      const seen = node.gpus.length === 0 ? 'no GPU' : `${passing} of ${node.gpus.length}`;
      return { refusedBy: text, seen };
    },
    mask(run, word, among) {
      if (!(run instanceof NodeRun)) return oneByOne(run, word, among);
      const { batch, offsets } = run.devices;
      const first = word * 32;
      const start = offsets[first] ?? 0;
      const end = offsets[Math.min(first + 32, run.things.length)] ?? 0;
      const passing = new Int32Array(batch.words);
      for (let at = start >> 5; at * 32 < end; at += 1) {
        passing[at] = where.mask(batch, at, batch.everything(at));
      }
      let bits = 0;
      for (let left = among; left !== 0; left &= left - 1) {
        const at = 31 - Math.clz32(left & -left);
        const own = offsets[first + at] ?? 0;
        if (countBits(passing, own, offsets[first + at + 1] ?? own) >= count) bits |= 1 << at;
      }
      return bits;
    },
  };
}
