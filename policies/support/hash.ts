/** FNV-1a with a final mix: spreads names evenly, and is the same on every machine. @returns 0 ≤ x < 2^32 */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Ten characters that stand for any text: what keeps a thousand of them has a bounded state, whoever chose the texts. */
export function digestText(text: string): string {
  const bits = hashText(text) * 2 ** 18 + (hashText(`${text}\n`) >>> 14);
  return bits.toString(36).padStart(10, '0');
}

/** Rendezvous hashing: when a name goes, only what was on it moves. @returns the name that scores highest for the key */
export function rendezvous(key: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let most = -1;
  for (const name of names) {
    const score = hashText(`${key}\n${name}`);
    if (score < most || (score === most && name > (best ?? ''))) continue;
    best = name;
    most = score;
  }
  return best;
}
