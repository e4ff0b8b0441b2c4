import { at, entries, isObject, type Located } from './located.ts';
import { readEither, readGroup, sum, toBytes, warnUnequal } from './quantities.ts';
import { type Draft, Fields, type Reading } from './reading.ts';
import { type Source, unwrapValues } from './source.ts';

/** Of a node that counts its devices without listing them. */
const maxDevices = 16;

/** One device of either dialect: `memoryBytes`, or `memory` in MB. */
function readGpu(gpu: Draft, located: Located, preferAios: boolean): void {
  const fields = new Fields(gpu.reading, located);
  gpu.put('modelName', fields.take('modelName'));
  const plain = fields.take('memoryBytes');
  readEither(gpu, 'memoryBytes', { plain, aios: fields.take('memory'), preferAios }, toBytes);
  fields.done();
}

/** AIOS's `{count, memory, gpus: [{modelName, memory}], modelNames, features}`. */
function readGpuGroup(node: Draft, located: Located): void {
  const { reading } = node;
  const fields = new Fields(reading, located);
  const count = fields.take('count');
  const memory = fields.take('memory');
  const list = fields.take('gpus');
  const modelNames = fields.take('modelNames');
  const features = fields.take('features');
  fields.done();
  if (Array.isArray(list.value)) {
    node.each('gpus', list, (gpu, one) => readGpu(gpu, one, true));
    const sizes = entries(list).map(([, gpu]) => at(gpu, 'memory').value);
    warnUnequal(reading, count, 'the list of devices has', sizes.length);
    if (sizes.every((size) => typeof size === 'number')) {
      warnUnequal(reading, memory, 'the devices sum up to', sum(sizes));
    }
  } else if (typeof count.value === 'number' && count.value > 0) {
    spreadGpus(reading, node.list('gpus', located), { count, memory, modelNames });
  }
  const declared = Object.fromEntries(
    Object.entries({ features: features.value, modelNames: modelNames.value }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  if (Object.keys(declared).length > 0) addMetadata(node, 'gpus', declared);
}

/** A node that says how many devices it has but not which: equal ones. */
function spreadGpus(
  reading: Reading,
  add: (element: Located) => Draft,
  { count, memory, modelNames }: Readonly<Record<'count' | 'memory' | 'modelNames', Located>>,
): void {
  const devices = Number(count.value);
  if (!Number.isInteger(devices) || devices > maxDevices) {
    reading.problem(count, { message: 'is no number of devices', expected: `0 to ${maxDevices}` });
    return;
  }
  const total = toBytes(reading, memory);
  for (let index = 0; index < devices; index += 1) {
    const name = at(modelNames, index).value ?? at(modelNames, 0).value;
    const gpu = add(memory);
    gpu.put('memoryBytes', memory, total === undefined ? undefined : Math.floor(total / devices));
    gpu.put('modelName', modelNames, name);
  }
}

/** What the plain form has no field for stays readable by filters. */
function addMetadata(node: Draft, key: string, value: unknown): void {
  const metadata = node.value.metadata ?? {};
  if (value !== undefined && isObject(metadata) && !Object.hasOwn(metadata, key)) {
    node.value.metadata = { ...metadata, [key]: value };
  }
}

function readGpus(node: Draft, gpus: Located, preferAios: boolean): void {
  if (isObject(gpus.value)) {
    readGpuGroup(node, gpus);
  } else {
    node.each('gpus', gpus, (gpu, located) => readGpu(gpu, located, preferAios));
  }
}

/** One machine of either dialect: plain bytes and cores, or AIOS's groups in MB. */
export function readNode(source: Source, node: Draft, located: Located): void {
  const { reading } = source;
  const fields = new Fields(reading, unwrapValues(reading, located));
  const preferAios = source.isAios || fields.has('vcpus') || fields.has('memory');
  const either = (key: string, aios: Located, convert?: typeof toBytes): void =>
    readEither(node, key, { plain: fields.take(key), aios, preferAios }, convert);
  const storage = readGroup(reading, fields.take('storage'), ['disks', 'size']);
  node.put('id', fields.take('id'));
  node.put('tags', fields.take('tags'));
  node.put('taints', fields.take('taints'));
  node.put('metadata', source.pick('metadata', 'nodeMetadata', fields));
  either('cpuCores', readGroup(reading, fields.take('vcpus'), ['count']).count);
  either('memoryBytes', fields.take('memory'), toBytes);
  either('swapBytes', fields.take('swap'), toBytes);
  either('storageBytes', storage.size, toBytes);
  readGpus(node, fields.take('gpus'), preferAios);
  addMetadata(node, 'disks', storage.disks.value);
  addMetadata(node, 'network', fields.take('network').value);
  fields.done();
}
