import type { Output } from './io.ts';

/** One line that changes while long work runs. */
export interface Progress {
  update(text: string): void;
  /** Clears the line. */
  done(): void;
}

/** On a terminal only: a log file wants no half lines. */
export function createProgress(output: Output): Progress {
  if (!output.isTTY) return { update() {}, done() {} };
  let shown = '';
  const columns = output.columns ?? 80;
  return {
    update(text) {
      const line = text.slice(0, columns - 1);
      if (line === shown) return;
      shown = line;
      output.write(`\r\u001B[K${line}`);
    },
    done() {
      if (shown !== '') output.write('\r\u001B[K');
      shown = '';
    },
  };
}

/** `▕████████··········▏ 42 %` */
export function renderBar(fraction: number, width = 24): string {
  const bounded = Math.min(1, Math.max(0, fraction));
  const filled = Math.round(bounded * width);
  // Rounded to 100 it would be done, while it says how long it will still take.
  const percent = bounded < 1 ? Math.min(99, Math.round(bounded * 100)) : 100;
  return `${'█'.repeat(filled)}${'·'.repeat(width - filled)} ${percent} %`;
}
