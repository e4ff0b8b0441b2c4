import type { SharedPrefix } from '../model/stage.ts';

/** What is known of a prompt before it comes. */
export interface ComingPrompt {
  readonly tenant: string;
  /** The shards it goes through: sessions share with those that went the same way alone. */
  readonly way: string;
  readonly tokens: readonly number[];
}

/**
 * What the first shard remembers of prompts, so that a prompt which begins like one of them is not computed again.
 *
 * Only whole chunks are shared, all of the length of the first: who sends the same beginning cuts it the same way, and the
 * same chunks give the same bits. The last chunk of a prompt is always computed, since its last row chooses a token.
 */
export interface PrefixBook {
  /** The longest beginning that is held. */
  find(prompt: ComingPrompt): SharedPrefix | undefined;
  open(session: string, prompt: ComingPrompt, shared: SharedPrefix | undefined): void;
  /** Its next step. @returns false where a step disagrees with what was shared: nothing of the session can be trusted */
  step(session: string, position: number, tokens: Int32Array): boolean;
  /** A shard after this one has lost what this session shared, so perhaps more of those that went the same way. */
  forget(session: string): void;
}

/** What a session has in memory now; undefined: it is gone. */
export type HeldTokens = (
  session: string,
  tenant: string,
) => { readonly tokens: number; readonly open: boolean } | undefined;

interface Entry {
  readonly tenant: string;
  readonly way: string;
  readonly promptTokens: number;
  /** Ids of its whole chunks, from position 0. */
  readonly tokens: number[];
  /** Rows of a chunk; 0 before the first. */
  rows: number;
  /** What was there before its first step. */
  readonly sharedTokens: number;
  /** Its next step may add a chunk. */
  growing: boolean;
}

export function createPrefixBook(heldTokens: HeldTokens): PrefixBook {
  const entries = new Map<string, Entry>();

  /** Positions that every shard has computed: an answer that goes on, or has ended, went through all of them. */
  const sharable = (session: string, { tenant, promptTokens, tokens, rows }: Entry): number => {
    const held = heldTokens(session, tenant);
    if (!held || rows === 0) return 0;
    const settled = held.open ? held.tokens > promptTokens : held.tokens >= promptTokens;
    return settled ? Math.min(held.tokens, tokens.length) : 0;
  };

  return {
    find({ tenant, way, tokens }) {
      let best: SharedPrefix | undefined;
      for (const [session, entry] of entries) {
        if (entry.tenant !== tenant || entry.way !== way) continue;
        const most = Math.min(sharable(session, entry), tokens.length - 1);
        let same = 0;
        while (same < most && entry.tokens[same] === tokens[same]) same += 1;
        const whole = entry.rows === 0 ? 0 : same - (same % entry.rows);
        // Of those alike the newest: the shards after may have given up older ones.
        if (whole > 0 && whole >= (best?.tokens ?? 0)) best = { session, tokens: whole };
      }
      return best;
    },
    open(session, { tenant, way, tokens }, shared) {
      const source = shared && entries.get(shared.session);
      for (const [known, entry] of entries) {
        if (!heldTokens(known, entry.tenant)) entries.delete(known);
      }
      entries.set(session, {
        ...{ tenant, way, promptTokens: tokens.length },
        tokens: source ? source.tokens.slice(0, shared.tokens) : [],
        rows: source ? source.rows : 0,
        sharedTokens: source ? shared.tokens : 0,
        growing: true,
      });
    },
    step(session, position, tokens) {
      const entry = entries.get(session);
      if (!entry) return true;
      if (position < entry.sharedTokens) {
        return (
          tokens.length === entry.rows &&
          tokens.every((token, at) => entry.tokens[position + at] === token)
        );
      }
      // A chunk that ends its prompt may be shorter than others would be: it tells nothing of their length.
      const isLast = position + tokens.length >= entry.promptTokens;
      if (!isLast) entry.rows ||= tokens.length;
      entry.growing &&= tokens.length === entry.rows && tokens.length > 1;
      if (entry.growing) for (const token of tokens) entry.tokens.push(token);
      return true;
    },
    forget(session) {
      const gone = entries.get(session);
      for (const [known, { tenant, way }] of entries) {
        if (tenant === gone?.tenant && way === gone.way) entries.delete(known);
      }
    },
  };
}
