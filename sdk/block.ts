import { z } from 'zod';
import { AiosError } from './errors.ts';
import type { Json, Packet } from './packet.ts';

/** What a block's functions are given. */
export interface BlockContext<Settings = unknown, Parameters = unknown> {
  readonly blockId: string;
  readonly instanceId: string;
  readonly initData: Readonly<Record<string, unknown>>;
  readonly settings: Settings;
  /** Changeable while the block runs; read it at each packet. */
  readonly parameters: Parameters;
  /** Aborts when the caller goes away, cancels, or its deadline passes. */
  readonly signal: AbortSignal;
  /** One line of the instance's log (`aios logs`). */
  readonly log: (message: string) => void;
}

export interface BlockHealth {
  readonly status: 'healthy' | 'unhealthy';
  readonly reason?: string;
}

type Result<T> = T | Promise<T> | AsyncIterable<T>;

export interface BlockDefinition<
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
  S extends z.ZodType = z.ZodType,
  P extends z.ZodType = z.ZodType,
> {
  /** Of a packet's `data`; a packet that breaks it never reaches `onData`. */
  readonly input: I;
  readonly output: O;
  readonly settings?: S;
  readonly parameters?: P;
  /** Once, before the first packet. */
  readonly start?: (context: BlockContext<z.output<S>, z.output<P>>) => void | Promise<void>;
  /** Splits or rewrites a packet before `onData`. Absent: the packet itself. */
  readonly onPreprocess?: (
    packet: Packet<z.output<I>>,
    context: BlockContext<z.output<S>, z.output<P>>,
  ) => readonly Packet<z.output<I>>[] | Promise<readonly Packet<z.output<I>>[]>;
  /** Answers a packet: one value, or several that stream as partial results (the last is the answer). */
  readonly onData: (
    packet: Packet<z.output<I>>,
    context: BlockContext<z.output<S>, z.output<P>>,
  ) => Result<z.input<O>>;
  /** Parameters changed while running. */
  readonly onUpdate?: (
    parameters: z.output<P>,
    context: BlockContext<z.output<S>, z.output<P>>,
  ) => void | Promise<void>;
  /** Absent: healthy while the process answers. */
  readonly health?: (
    context: BlockContext<z.output<S>, z.output<P>>,
  ) => BlockHealth | Promise<BlockHealth>;
  /** Commands of `aios` beside packets. */
  readonly management?: (
    action: string,
    data: Json,
    context: BlockContext<z.output<S>, z.output<P>>,
  ) => Json | Promise<Json>;
  /** Once, when the instance is asked to end. */
  readonly stop?: (context: BlockContext<z.output<S>, z.output<P>>) => void | Promise<void>;
}

/** A checked, frozen block with its schemas filled in. */
export interface Block {
  readonly type: 'block';
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly settings: z.ZodType;
  readonly parameters: z.ZodType;
  start?(context: BlockContext): void | Promise<void>;
  onPreprocess?(
    packet: Packet,
    context: BlockContext,
  ): readonly Packet[] | Promise<readonly Packet[]>;
  onData(packet: Packet, context: BlockContext): Result<unknown>;
  onUpdate?(parameters: unknown, context: BlockContext): void | Promise<void>;
  health?(context: BlockContext): BlockHealth | Promise<BlockHealth>;
  management?(action: string, data: Json, context: BlockContext): Json | Promise<Json>;
  stop?(context: BlockContext): void | Promise<void>;
}

/**
 * Defines a block: the workload itself.
 *
 * @example
 * export default defineBlock({
 *   input: z.object({ text: z.string() }), output: z.object({ text: z.string() }),
 *   onData: ({ data }) => ({ text: data.text.toUpperCase() }),
 * });
 * @throws {AiosError} SPEC_INVALID - `onData` is missing
 */
export function defineBlock<
  I extends z.ZodType,
  O extends z.ZodType,
  S extends z.ZodType = z.ZodRecord<z.ZodString, z.ZodUnknown>,
  P extends z.ZodType = z.ZodRecord<z.ZodString, z.ZodUnknown>,
>(definition: BlockDefinition<I, O, S, P>): Block {
  if (typeof definition.onData !== 'function') {
    throw new AiosError('SPEC_INVALID', 'a block needs the function onData(packet, context).');
  }
  const anything = z.record(z.string(), z.unknown()).default({});
  return Object.freeze({
    settings: anything,
    parameters: anything,
    ...definition,
    type: 'block' as const,
  }) as unknown as Block;
}
