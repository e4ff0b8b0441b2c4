import type { Input } from '../io.ts';

const leaving = new Set(['q', 'Q', '\x03', '\x04', '\x1b']);

/**
 * Listens for what ends a full-screen view: q, Escape, Ctrl-C and Ctrl-D.
 *
 * @returns how to stop; the terminal is as before then
 */
export function onLeaveKey(input: Input, listener: () => void): () => void {
  if (!input.isTTY) return () => {};
  const onData = (data: Buffer | string): void => {
    const keys = String(data);
    // An arrow key begins as Escape does.
    if (keys.startsWith('\x1b') ? keys === '\x1b' : [...keys].some((key) => leaving.has(key))) {
      listener();
    }
  };
  input.setRawMode?.(true);
  input.on('data', onData);
  input.resume();
  return () => {
    input.off('data', onData);
    input.setRawMode?.(false);
    input.pause();
  };
}
