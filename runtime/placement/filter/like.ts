/**
 * AIOS's `LIKE`: `*` stands for anything, the rest for itself, and the pattern may match anywhere in the text. Parts are
 * looked for from left to right, which is enough where nothing is anchored: no regular expression, no backtracking.
 */
export function createLikeMatcher(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*').filter((part) => part !== '');
  return (text) => {
    let from = 0;
    for (const part of parts) {
      const at = text.indexOf(part, from);
      if (at < 0) return false;
      from = at + part.length;
    }
    return true;
  };
}
