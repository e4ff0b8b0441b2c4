import type { Output } from '../io.ts';

/** The whole terminal, until it is closed: what stood there before comes back. */
export interface Screen {
  /** Writes the lines that differ from what is there; those below the edge are counted on the last one. */
  draw(lines: readonly string[]): void;
  close(): void;
}

const csi = '\x1b[';
/** Alternate screen; no cursor; lines that are too long are cut and not broken. */
const enter = `${csi}?1049h${csi}?25l${csi}?7l`;
const leave = `${csi}?7h${csi}?25h${csi}?1049l`;
const clear = `${csi}2J`;
const toRow = (row: number): string => `${csi}${row + 1};1H`;
const endLine = `${csi}0m${csi}K`;

const defaultRows = 24;

function fitting(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines;
  const kept = lines.slice(0, Math.max(0, rows - 1));
  return [...kept, `… ${lines.length - kept.length} more lines; enlarge the window to see them`];
}

/** @param onResize - told when the size has changed and everything must be drawn again */
export function openScreen(output: Output, onResize: () => void): Screen {
  let there: readonly string[] | undefined;
  let closed = false;
  const resized = (): void => {
    there = undefined;
    onResize();
  };
  output.write(enter);
  output.on?.('resize', resized);

  return {
    draw(lines) {
      if (closed) return;
      const next = fitting(lines, output.rows ?? defaultRows);
      const changed = Array.from({ length: Math.max(next.length, there?.length ?? 0) }, (_, row) =>
        next[row] === there?.[row] ? '' : `${toRow(row)}${next[row] ?? ''}${endLine}`,
      );
      const text = (there ? '' : clear) + changed.join('');
      // One write, so that nobody sees half of it.
      if (text !== '') output.write(text);
      there = next;
    },
    close() {
      if (closed) return;
      closed = true;
      output.off?.('resize', resized);
      output.write(leave);
    },
  };
}
