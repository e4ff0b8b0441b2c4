import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * What a caller shows an instance to prove that the instance's control plane lets it in.
 *
 * @param secret - the instance's, hex
 * @param peerId - who will call; a ticket serves nobody else
 * @returns HMAC-SHA256 of `peer:<peerId>`, hex
 */
export function mintTicket(secret: string, peerId: string): string {
  return createHmac('sha256', Buffer.from(secret, 'hex')).update(`peer:${peerId}`).digest('hex');
}

/** Takes the same time whatever the ticket is. */
export function checkTicket(secret: string, peerId: string, ticket: string): boolean {
  const expected = Buffer.from(mintTicket(secret, peerId));
  const shown = Buffer.from(ticket);
  return shown.length === expected.length && timingSafeEqual(shown, expected);
}
