import { NodeAccount } from './node-account.ts';

const longestJournal = 8192;

/** What is promised of one cluster, node by node, and which nodes changed since when. */
export class ClusterAccount {
  readonly #nodes = new Map<string, NodeAccount>();
  /** Ids of changed nodes, oldest first; the first is change number `#forgotten + 1`. */
  #journal: string[] = [];
  #forgotten = 0;

  #room = 0;

  /** Grows when anything was given back or declared: only then can something fit that did not. */
  get roomRevision(): number {
    return this.#room;
  }

  /** Grows with every change of any node. */
  get revision(): number {
    return this.#forgotten + this.#journal.length;
  }

  /** @returns ids of the nodes that changed after that revision, some maybe twice; nothing where that is not known any more */
  changedSince(revision: number): readonly string[] | undefined {
    return revision < this.#forgotten ? undefined : this.#journal.slice(revision - this.#forgotten);
  }

  /** Opens an account for a node that has none. */
  node(id: string): NodeAccount {
    const known = this.#nodes.get(id);
    if (known) return known;
    const opened = new NodeAccount((grew) => {
      if (grew) this.#room += 1;
      this.#note(id);
    });
    this.#nodes.set(id, opened);
    return opened;
  }

  find(id: string): NodeAccount | undefined {
    return this.#nodes.get(id);
  }

  nodes(): ReadonlyMap<string, NodeAccount> {
    return this.#nodes;
  }

  /** Forgets nodes that are neither declared nor promised. @returns whether none is left */
  prune(): boolean {
    for (const [id, node] of this.#nodes) if (node.isEmpty) this.#nodes.delete(id);
    return this.#nodes.size === 0;
  }

  #note(id: string): void {
    this.#journal.push(id);
    if (this.#journal.length <= longestJournal) return;
    const dropped = longestJournal / 2;
    this.#journal = this.#journal.slice(dropped);
    this.#forgotten += dropped;
  }
}
