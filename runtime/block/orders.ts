interface Move {
  readonly reason: string;
  /** Another beside it will do, wherever that is. */
  readonly anywhere: boolean;
  /** The instance that takes its place, once there is one. */
  successor?: string;
  readonly answers: ((moved: boolean) => void)[];
}

/** What others asked of single instances of a block: to end one for somebody else, or to have one elsewhere. */
export class Orders {
  readonly #evictions = new Map<string, (() => void)[]>();
  readonly #moves = new Map<string, Move>();
  /** Instances that nothing could be put beside: they are not asked about again. */
  readonly #alone = new Set<string>();

  /** @returns resolves when the instance has ended */
  evict(instanceId: string): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#evictions.get(instanceId) ?? [];
      this.#evictions.set(instanceId, [...waiting, resolve]);
    });
  }

  /** @returns resolves with whether another has taken its place */
  move(instanceId: string, reason: string): Promise<boolean> {
    return new Promise((resolve) => {
      const known = this.#moves.get(instanceId);
      if (known) known.answers.push(resolve);
      else this.#moves.set(instanceId, { reason, anywhere: false, answers: [resolve] });
    });
  }

  /**
   * Has another instance take this one's place, on any node, where there is room for both for a while.
   *
   * @returns false: that was tried, and did not work
   */
  replace(instanceId: string, reason: string): boolean {
    if (this.#alone.has(instanceId)) return false;
    if (!this.#moves.has(instanceId)) {
      const answer = (moved: boolean) => {
        if (!moved) this.#alone.add(instanceId);
      };
      this.#moves.set(instanceId, { reason, anywhere: true, answers: [answer] });
    }
    return true;
  }

  get evicted(): readonly string[] {
    return [...this.#evictions.keys()];
  }

  /** Those for which another place is still to be found. */
  get toMove(): readonly (Pick<Move, 'reason' | 'anywhere'> & { readonly instanceId: string })[] {
    return [...this.#moves].flatMap(([instanceId, { reason, anywhere, successor }]) =>
      successor === undefined ? [{ instanceId, reason, anywhere }] : [],
    );
  }

  /** Instances that stand beside the one whose place they are to take. */
  get successors(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#moves].flatMap(([instanceId, { successor }]) =>
        successor === undefined ? [] : [[successor, instanceId] as const],
      ),
    );
  }

  started(instanceId: string, successor: string): void {
    const move = this.#moves.get(instanceId);
    if (move) move.successor = successor;
  }

  /** @param moved - false: it stays where it is */
  settle(instanceId: string, moved: boolean): void {
    const move = this.#moves.get(instanceId);
    this.#moves.delete(instanceId);
    for (const answer of move?.answers ?? []) answer(moved);
  }

  /** An instance is gone, for whatever reason. */
  ended(instanceId: string): void {
    for (const answer of this.#evictions.get(instanceId) ?? []) answer();
    this.#evictions.delete(instanceId);
    const replaced = this.successors.get(instanceId);
    if (replaced !== undefined) this.settle(replaced, false);
    const { successor } = this.#moves.get(instanceId) ?? {};
    this.settle(instanceId, successor !== undefined);
    this.#alone.delete(instanceId);
  }
}
