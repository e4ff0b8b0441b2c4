import type { Awaited, Placement, PlacementRequest } from '../placement/placement.ts';

/** A request that found no place, and what the refusal went by. */
export interface Refusal {
  readonly request: PlacementRequest;
  /** Absent where the documents are at fault. */
  readonly awaited?: Awaited | undefined;
}

/** How long a block that ran before may still come back: its node may, or the memory of what died there. */
const comingBackMs = 15_000;

/** Why it would be no use to look for a place again: the same was asked, and nothing it went by has changed. */
export class Waiting {
  readonly #placement: Placement;
  #asked: string | undefined;
  #refusal: Refusal | undefined;
  #refusedAt = 0;

  constructor(placement: Placement) {
    this.#placement = placement;
  }

  /** @param asked - what the documents ask for: anything else is another question */
  refused(asked: string, refusal: Refusal): void {
    if (!this.#refusal) this.#refusedAt = performance.now();
    this.#asked = asked;
    this.#refusal = refusal;
  }

  forget(): void {
    this.#asked = undefined;
    this.#refusal = undefined;
  }

  /** Whether the answer to the same question may be another one now. */
  get isOver(): boolean {
    if (!this.#refusal) return true;
    const { request, awaited } = this.#refusal;
    return awaited !== undefined && this.#placement.hasChanged(request, awaited);
  }

  /** Whether the refusal is final as things are, so that nobody need wait for a place to be found. */
  get isVain(): boolean {
    if (!this.#refusal || this.isOver) return false;
    const { reason } = this.#refusal.request;
    return reason === 'create' || performance.now() - this.#refusedAt >= comingBackMs;
  }

  isAbout(asked: string): boolean {
    return this.#asked === asked;
  }
}
