import { isDeeplyFrozen } from './freeze.ts';
import type { ResidentUpdate } from './sandbox-protocol.ts';

/** Past so many characters of nodes everything is sent anew: the sandbox's memory is bounded. */
const maxCharacters = 8 * 2 ** 20;
/** A list that differs in more places is sent whole, as numbers. */
const maxDifferences = 64;

/** A list of nodes as it was sent. */
interface SentList {
  readonly number: number;
  readonly elements: readonly object[];
}

const isList = (value: unknown): value is readonly object[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  isDeeplyFrozen(value) &&
  value.every((element) => typeof element === 'object' && element !== null);

/**
 * What one sandbox has been sent of the inventory: each node once, each list of nodes by its difference from one before.
 * Nodes and lists are frozen, and the same objects while nothing about them changed, so identity says what is known.
 */
export class Resident {
  #nodes = new Map<object, number>();
  #lists = new Map<object, number>();
  /** The lists sent last, one a length: those of the next question differ little from them. */
  #recent: SentList[] = [];
  #next = 1;
  #characters = 0;

  /** Everything the sandbox held is gone. */
  clear(): void {
    this.#nodes = new Map();
    this.#lists = new Map();
    this.#recent = [];
    this.#characters = 0;
  }

  /**
   * @returns the input with each list of nodes under `nodes` replaced by its number, and what to tell the sandbox first
   */
  encode(input: unknown): { readonly input: unknown; readonly update: ResidentUpdate } {
    const reset = this.#characters > maxCharacters;
    if (reset) this.clear();
    // Before anything is built: what this question names is never among them.
    const dropped = this.#dropLists();
    const nodes: [number, string][] = [];
    const lists: ResidentUpdate['lists'][number][] = [];

    const numberOf = (node: object): number => {
      const known = this.#nodes.get(node);
      if (known !== undefined) return known;
      const number = this.#next++;
      const text = JSON.stringify(node);
      this.#characters += text.length;
      this.#nodes.set(node, number);
      nodes.push([number, text]);
      return number;
    };

    const listNumber = (elements: readonly object[]): number => {
      const known = this.#lists.get(elements);
      if (known !== undefined) return known;
      const number = this.#next++;
      const base = this.#recent.find((sent) => sent.elements.length === elements.length);
      const changes: [number, number][] = [];
      for (const [at, node] of elements.entries()) {
        if (base && base.elements[at] === node) continue;
        changes.push([at, numberOf(node)]);
      }
      lists.push(
        base && changes.length <= maxDifferences
          ? { number, base: base.number, changes }
          : { number, nodes: elements.map(numberOf) },
      );
      this.#characters += 8 * elements.length;
      this.#lists.set(elements, number);
      this.#recent = [{ number, elements }, ...this.#recent.filter((sent) => sent !== base)].slice(
        0,
        16,
      );
      return number;
    };

    const replace = (value: unknown, depth: number): unknown => {
      if (typeof value !== 'object' || value === null || depth > 3) return value;
      if (Array.isArray(value)) {
        return value.length > 64 ? value : value.map((each) => replace(each, depth + 1));
      }
      const entries = Object.entries(value).map(([key, field]) => [
        key,
        key === 'nodes' && isList(field) ? { $list: listNumber(field) } : replace(field, depth + 1),
      ]);
      return Object.fromEntries(entries);
    };

    const encoded = replace(input, 0);
    return { input: encoded, update: { reset, nodes, lists, dropped } };
  }

  /** Lists nobody can build on any more. */
  #dropLists(): readonly number[] {
    const kept = new Set(this.#recent.map(({ elements }) => elements as object));
    const dropped: number[] = [];
    for (const [elements, number] of this.#lists) {
      if (kept.has(elements)) continue;
      this.#lists.delete(elements);
      dropped.push(number);
    }
    return dropped;
  }
}
