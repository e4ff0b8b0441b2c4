import { type Problem, SplitError } from '../../../sdk/errors.ts';
import { nearest } from '../../../sdk/nearest.ts';
import type { Dag } from './dag.ts';
import { fusedGroups } from './groups.ts';

/** Node → the part it belongs to. Never before the parts of the nodes it reads from. */
export type Homes = Uint32Array;

/** @param cuts - index of the first node of each part but the first, ascending */
export function homesByOrder(dag: Dag, cuts: readonly number[]): Homes {
  const homes = new Uint32Array(dag.nodes.length);
  for (const cut of cuts) {
    for (let index = cut; index < homes.length; index += 1) homes[index] = (homes[index] ?? 0) + 1;
  }
  return keepGroups(dag, homes);
}

/** Takes each fused group into the part of its last node: nothing else reads what is inside. */
function keepGroups(dag: Dag, homes: Homes): Homes {
  for (const [member, last] of fusedGroups(dag).lastOf) homes[member] = homes[last] ?? 0;
  return homes;
}

/**
 * Parts that end where the named tensors are made: each holds what its tensor needs and no part before it holds. A tensor
 * inside a fused group stands for the end of the group.
 *
 * @throws {SplitError} REQUEST_INVALID - with every name at which the graph cannot be cut
 */
export function homesByTensors(dag: Dag, tensors: readonly string[]): Homes {
  const problems: Problem[] = [];
  const ends = new Map<number, string>();
  const { lastOf } = fusedGroups(dag);
  for (const [position, tensor] of tensors.entries()) {
    const refuse = (message: string, close?: string) =>
      problems.push({ path: `$.cut[${position}]`, message, ...(close ? { nearest: close } : {}) });
    const made = dag.producers.get(tensor);
    const producer = made === undefined ? undefined : (lastOf.get(made) ?? made);
    const twin = producer === undefined ? undefined : ends.get(producer);
    if (producer !== undefined && twin === undefined) ends.set(producer, tensor);
    else if (twin !== undefined)
      refuse(`'${tensor}' is made where '${twin}' is: they name one cut.`);
    else if (dag.inputs.has(tensor)) refuse(`'${tensor}' is an input: nothing lies before it.`);
    else if (dag.initializers.has(tensor)) refuse(`'${tensor}' is a weight, and is not computed.`);
    else
      refuse(`there is no tensor '${tensor}' in the graph.`, nearest(tensor, dag.producers.keys()));
  }
  const homes = new Uint32Array(dag.nodes.length).fill(ends.size);
  const taken = new Uint8Array(dag.nodes.length);
  const ordered = [...ends].sort(([a], [b]) => a - b);
  for (const [part, [end]] of ordered.entries()) {
    const open = [end];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (taken[index]) continue;
      taken[index] = 1;
      homes[index] = part;
      for (const name of dag.nodes[index]?.reads ?? []) {
        const before = dag.producers.get(name);
        if (before !== undefined) open.push(before);
      }
    }
  }
  if (problems.length === 0) return keepGroups(dag, homes);
  throw new SplitError(
    'REQUEST_INVALID',
    `the graph cannot be cut at ${tensors.length === 1 ? 'this tensor' : 'these tensors'}.`,
    { problems },
  );
}
