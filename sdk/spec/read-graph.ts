import { findCycle, formatCycle, graphEnds, type LabelledGraph } from '../graph.ts';
import { at, entries, isObject, type Located } from './located.ts';
import { Fields, oneOf, type Reading } from './reading.ts';
import type { Source } from './source.ts';

/** Labels of the nodes that have one, each once; a second of the same name is a problem. */
function labelsOf(source: Source): ReadonlySet<string> {
  const labels = new Set<string>();
  const nodes = Array.isArray(source.draft.value.nodes) ? source.draft.value.nodes : [];
  for (const [index, { label }] of (nodes as { label?: unknown }[]).entries()) {
    if (typeof label !== 'string') continue;
    if (labels.has(label)) {
      const path = source.reading.locate(['nodes', index, 'label']);
      source.reading.problem(
        { path, value: label },
        {
          message: `label '${label}' is taken by a node before it`,
          expected: 'a label of its own',
        },
      );
    }
    labels.add(label);
  }
  return labels;
}

function checkLabel(reading: Reading, labels: ReadonlySet<string>, label: Located): boolean {
  if (typeof label.value === 'string' && labels.has(label.value)) return true;
  const message = label.value === undefined ? 'is missing' : 'is the label of no node';
  reading.problem(label, { message }, labels);
  return false;
}

interface Edge {
  readonly from: string;
  readonly to: string;
}

/** What each node declares as its outputs, by label. */
function portsOf(source: Source): ReadonlyMap<unknown, unknown> {
  const nodes = Array.isArray(source.draft.value.nodes) ? source.draft.value.nodes : [];
  return new Map(
    (nodes as { label?: unknown; outputProtocol?: unknown }[]).map((node) => [
      node.label,
      node.outputProtocol,
    ]),
  );
}

/**
 * AIOS's samples name ports that the node's `outputProtocol` declares; AIOS never reads them, and hands the whole output
 * on. Other names are fields of the output.
 */
function arePorts(names: unknown, ports: unknown): boolean {
  return (
    isObject(ports) &&
    Array.isArray(names) &&
    names.length > 0 &&
    names.every((name) => typeof name === 'string' && typeof ports[name] === 'string')
  );
}

function readConnections(source: Source, connections: Located): void {
  const { reading } = source;
  const add = source.draft.list('edges', connections);
  const ports = portsOf(source);
  for (const [, connection] of entries(connections)) {
    if (reading.isFull) return;
    const fields = new Fields(reading, connection);
    const to = fields.take('nodeLabel');
    for (const [, input] of entries(fields.take('inputs'))) {
      const inputFields = new Fields(reading, input);
      const edge = add(input);
      const from = inputFields.take('nodeLabel');
      const names = inputFields.take('outputNames');
      edge.put('from', from);
      edge.put('to', to);
      if (arePorts(names.value, ports.get(from.value))) {
        reading.warn(names, 'names ports, which have no effect: the whole output is handed on');
      } else {
        edge.put('outputNames', names);
      }
      inputFields.done();
    }
    fields.done();
  }
}

/** `inputs` and `outputs` say what the edges already tell; a difference means that an edge is wrong. */
function checkEnds(
  reading: Reading,
  declared: Located,
  what: 'head' | 'tail',
  computed: readonly string[],
): void {
  if (declared.value === undefined) return;
  const isEnd = new Set(computed);
  const labels = entries(declared).map(([, entry]) =>
    isObject(entry.value) ? at(entry, 'nodeLabel') : entry,
  );
  const wrong = labels.filter(({ value }) => typeof value !== 'string' || !isEnd.has(value));
  const direction = what === 'head' ? 'into' : 'out of';
  for (const label of wrong) {
    const message = `is no ${what} of the graph: an edge leads ${direction} it, or no node has this label`;
    reading.problem(label, { message }, computed);
  }
  for (const { value } of labels) isEnd.delete(String(value));
  if (wrong.length > 0 || isEnd.size === 0) return;
  reading.problem(declared, {
    message: `leaves out a ${what}: no edge leads ${direction} it`,
    expected: `also ${oneOf(isEnd)}`,
  });
}

/** @returns the edges whose ends exist; reports the others, and those that are there twice. */
function checkEdges(source: Source, labels: ReadonlySet<string>): readonly Edge[] {
  const { draft, reading } = source;
  const edges = Array.isArray(draft.value.edges) ? (draft.value.edges as unknown[]) : [];
  const seen = new Set<string>();
  return edges.filter((edge, index): edge is Edge => {
    if (!isObject(edge) || reading.isFull) return false;
    const ends = ['from', 'to'].map((end) => {
      const isLabel = typeof edge[end] === 'string' && labels.has(edge[end]);
      const path = isLabel ? '' : reading.locate(['edges', index, end]);
      return isLabel || checkLabel(reading, labels, { value: edge[end], path });
    });
    if (ends.includes(false)) return false;
    const key = JSON.stringify([edge.from, edge.to]);
    if (seen.has(key)) {
      reading.problem(
        { path: reading.locate(['edges', index]), value: edge },
        { message: `there is already an edge ${edge.from} => ${edge.to}` },
      );
    }
    seen.add(key);
    return true;
  });
}

/** The stages of a model are nodes of the graph. */
function checkStages({ draft, reading }: Source, labels: ReadonlySet<string>): void {
  if (!isObject(draft.value.generation)) return;
  const path = reading.locate(['generation', 'stages']);
  for (const [, stage] of entries({ value: draft.value.generation.stages, path })) {
    checkLabel(reading, labels, stage);
  }
}

/** Reads `edges`, or AIOS's `graph`, and checks what the edges make of the nodes. */
export function readGraph(source: Source): void {
  const { draft, fields, reading } = source;
  const graph = fields.take('graph');
  const edges = fields.take('edges');
  let inputs: Located = { value: undefined, path: graph.path };
  let outputs = inputs;
  if (graph.value === undefined) {
    draft.put('edges', edges);
  } else {
    if (edges.value !== undefined) {
      reading.problem(edges, { message: "says the same as 'graph'; keep one of the two" });
    }
    const graphFields = new Fields(reading, graph);
    inputs = graphFields.take('inputs', 'input');
    outputs = graphFields.take('outputs', 'output');
    readConnections(source, graphFields.take('connections'));
    graphFields.ignore('is a legacy AIOS key; it is ignored', '@templateType');
    graphFields.done();
  }

  const labels = labelsOf(source);
  checkStages(source, labels);
  if (labels.size === 0) return;
  const nodes = [...labels].map((label) => ({ label }));
  const sound: LabelledGraph = { nodes, edges: checkEdges(source, labels) };
  const cycle = findCycle(sound);
  if (cycle) {
    reading.problem(
      {
        path: graph.value === undefined ? edges.path : at(graph, 'connections').path,
        value: undefined,
      },
      {
        message: `the graph has a cycle: ${formatCycle(cycle)}; remove one of its edges`,
        expected: 'a graph without cycles',
      },
    );
    return;
  }
  const ends = graphEnds(sound);
  checkEnds(reading, inputs, 'head', ends.heads);
  checkEnds(reading, outputs, 'tail', ends.tails);
}
