import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import type { Io } from '../../../cli/io.ts';
import { type FakeIo, fakeIo } from './harness.ts';

const csi = `${String.fromCharCode(27)}\\[`;
const parts = new RegExp(`${csi}\\??[0-9;]*[A-Za-z]|[^${String.fromCharCode(27)}]+`, 'g');
const modeForm = new RegExp(`^${csi}\\?(\\d+)([hl])$`);
const moveForm = new RegExp(`^${csi}(\\d+);1H$`);
const styleForm = new RegExp(`^${csi}\\d*m$`);

/** A terminal that knows the few sequences a full-screen view uses, and nothing else: another one is an error. */
export class FakeTerminal extends EventEmitter {
  readonly isTTY = true;
  columns: number;
  rows: number;
  screen: string[] = [];
  alternate = false;
  cursorShown = true;
  wraps = true;
  written: string[] = [];
  #row = 0;

  constructor(columns = 120, rows = 30) {
    super();
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): boolean {
    this.written.push(text);
    for (const [part] of text.matchAll(parts)) this.#take(part);
    return true;
  }

  resize(columns: number, rows: number): void {
    Object.assign(this, { columns, rows });
    this.emit('resize');
  }

  /** Without colours and spaces at the end. */
  get lines(): readonly string[] {
    return this.screen.map((line) => stripVTControlCharacters(line ?? '').trimEnd());
  }

  #take(part: string): void {
    const mode = modeForm.exec(part);
    const move = moveForm.exec(part);
    if (mode?.[1] === '1049') this.alternate = mode[2] === 'h';
    else if (mode?.[1] === '25') this.cursorShown = mode[2] === 'h';
    else if (mode?.[1] === '7') this.wraps = mode[2] === 'h';
    else if (part === '\x1b[2J') this.screen = [];
    else if (move) {
      this.#row = Number(move[1]) - 1;
      if (this.#row >= this.rows) throw new Error(`row ${this.#row} is below the edge`);
      this.screen[this.#row] = '';
    } else if (part === '\x1b[K' || styleForm.test(part)) return;
    else if (part.startsWith('\x1b')) throw new Error(`unknown sequence ${JSON.stringify(part)}`);
    else if (part.includes('\n')) throw new Error('a new line would scroll');
    else this.screen[this.#row] = `${this.screen[this.#row] ?? ''}${part}`;
  }
}

/** A keyboard in front of it. */
export class FakeKeyboard extends PassThrough {
  readonly isTTY = true;
  raw = false;

  setRawMode(on: boolean): this {
    this.raw = on;
    return this;
  }
}

export interface TerminalIo extends Io {
  readonly terminal: FakeTerminal;
  readonly keyboard: FakeKeyboard;
  signal: FakeIo['signal'];
  errors: FakeIo['errors'];
}

export function terminalIo(terminal = new FakeTerminal()): TerminalIo {
  const keyboard = new FakeKeyboard();
  return { ...fakeIo(), terminal, keyboard, stdout: terminal, stdin: keyboard };
}
