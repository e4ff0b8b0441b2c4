import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../../sdk/errors.ts';

const ticketPattern = /^[0-9a-f]{32}$/;
const maxOpenTickets = 1024;
const ticketLifeMs = 60 * 60_000;

export interface IncomingPlace {
  readonly ticket: string;
  readonly folder: string;
  /** Where the file is to be put. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** Folders in which files wait to be checked. Nothing in them counts as stored. */
export interface Incoming {
  open(sizeBytes: number): Promise<IncomingPlace>;
  /** For bytes that are being received: stays, however slowly they come, until it is discarded. */
  openHeld(): Promise<IncomingPlace>;
  /** Each ticket works once. @throws {AiosError} NOT_FOUND */
  take(ticket: string): IncomingPlace;
  discard(place: IncomingPlace): Promise<void>;
  /** Discards those whose time is over. @returns how many */
  expire(): Promise<number>;
}

/** Removes what an earlier process left there. */
export async function createIncoming(directory: string): Promise<Incoming> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const places = new Map<string, IncomingPlace & { readonly expiresAtMs: number }>();

  async function discard({ ticket, folder }: IncomingPlace): Promise<void> {
    places.delete(ticket);
    await rm(folder, { recursive: true, force: true });
  }

  async function expire(): Promise<number> {
    const expired = [...places.values()].filter((place) => place.expiresAtMs < Date.now());
    for (const place of expired) await discard(place);
    return expired.length;
  }

  async function open(sizeBytes: number, lifeMs: number): Promise<IncomingPlace> {
    await expire();
    if (places.size >= maxOpenTickets) {
      throw new AiosError(
        'BUSY',
        `${places.size} uploads are under way. Retry when some have ended.`,
      );
    }
    const ticket = randomBytes(16).toString('hex');
    const folder = join(directory, ticket);
    const place = { ticket, folder, path: join(folder, 'file'), sizeBytes };
    places.set(ticket, { ...place, expiresAtMs: Date.now() + lifeMs });
    await mkdir(folder, { mode: 0o700 });
    return place;
  }

  return {
    discard,
    expire,
    open: (sizeBytes) => open(sizeBytes, ticketLifeMs),
    openHeld: () => open(0, Number.POSITIVE_INFINITY),
    take(ticket) {
      const place = ticketPattern.test(ticket) ? places.get(ticket) : undefined;
      if (!place) {
        throw new AiosError(
          'NOT_FOUND',
          'The link ticket is unknown, used or expired. Ask for a new one.',
        );
      }
      places.delete(ticket);
      return place;
    },
  };
}
