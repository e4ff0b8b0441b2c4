import { at, type Located } from './located.ts';
import { readReference } from './policy-references.ts';
import { type Draft, Fields, type Reading } from './reading.ts';
import { type Source, unwrapValues } from './source.ts';

function readBinding(source: Source, node: Draft, fields: Fields): void {
  const { reading } = source;
  const blockId = source.pick('blockId', 'manualBlockId', fields);
  const nested = source.pick('vdagUri', 'vdagURI', fields);
  const assignment = source.pick('assignment', 'assignmentPolicyRule', fields);
  const type = fields.take('nodeType');
  const isSet = ({ value }: Located): boolean => value !== undefined && value !== '';

  if (isSet(blockId)) node.put('blockId', blockId);
  if (isSet(nested)) node.put('vdagUri', nested);
  readReference(node, 'assignment', assignment);
  if (isSet(blockId) && node.value.assignment !== undefined) {
    reading.warn(assignment, 'is not used: the node names its block');
    delete node.value.assignment;
  }

  const wanted = type.value === undefined ? '' : type.value;
  if (wanted === 'algorithm') {
    reading.warn(type, "is an old AIOS node type; say 'block' or 'vdag'");
  } else if (wanted !== '' && wanted !== 'block' && wanted !== 'vdag') {
    reading.problem(type, { message: 'is no node type' }, ['block', 'vdag']);
  }
  if (isSet(blockId) && isSet(nested)) {
    reading.problem(nested, { message: 'a node is a block or a vDAG, not both; remove one' });
  } else if (wanted === 'vdag' && !isSet(nested)) {
    reading.problem(nested, { message: 'is missing', expected: 'the URI of the nested vDAG' });
  } else if (wanted === 'block' && isSet(nested)) {
    reading.problem(type, { message: 'the node names a vDAG', expected: "'vdag'" });
  } else if (!isSet(blockId) && !isSet(nested) && node.value.assignment === undefined) {
    if (assignment.value === undefined || !reading.explains([...node.at, 'assignment'])) {
      reading.problem(blockId, {
        message: 'the node has nothing to run',
        expected: 'a block id, the URI of a vDAG, or an assignment policy',
      });
    }
  }
}

/** One node, flat or as `{spec: {values}, IOMap}`. */
export function readNode(source: Source, node: Draft, located: Located): void {
  const { reading } = source;
  const values = unwrapValues(reading, located, 'IOMap');
  if (values !== located) warnIoMap(reading, at(located, 'IOMap'));
  reading.place(node.at, values.path);
  const fields = new Fields(reading, values);
  node.put('label', source.pick('label', 'nodeLabel', fields));
  readBinding(source, node, fields);
  const hooks = {
    preprocessing: 'preprocessingPolicyRule',
    postprocessing: 'postprocessingPolicyRule',
  };
  for (const [plainName, aiosName] of Object.entries(hooks)) {
    readReference(node, plainName, source.pick(plainName, aiosName, fields));
  }
  for (const key of ['preprocessing', 'postprocessing']) {
    if (node.value[key] === undefined) continue;
    const path = reading.locate([...node.at, key]);
    reading.warn(
      { path },
      'is kept, but this version runs no policies of nodes: a call of the vDAG is refused while it is there',
    );
  }
  for (const name of ['modelParameters', 'inputProtocol', 'outputProtocol']) {
    node.put(name, fields.take(name));
  }
  warnIoMap(reading, fields.take('IOMap'));
  fields.ignore('is a legacy AIOS key that nothing reads; it is ignored', '@templateType');
  fields.done();
}

function warnIoMap(reading: Reading, ioMap: Located): void {
  if (ioMap.value !== undefined) {
    reading.warn(ioMap, 'has no effect: a node gets the whole output of the nodes before it');
  }
}
