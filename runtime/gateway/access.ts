import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { AiosError } from '../../sdk/errors.ts';

/** Who may call. With keys: whoever shows one. Without: programs on this machine, and no web page from elsewhere. */
export interface AccessRule {
  /** @returns the name of the key that was shown: `key-1` is the first of those given @throws {AiosError} UNAUTHENTICATED, FORBIDDEN */
  check(headers: Headers): string | undefined;
}

/**
 * @param apiKeys - empty: no keys
 * @throws {AiosError} REQUEST_INVALID - others could reach `host` and there is no key
 */
export function createAccessRule(host: string, apiKeys: readonly string[]): AccessRule {
  if (apiKeys.some((key) => key.trim() === '')) {
    throw new AiosError('REQUEST_INVALID', 'an API key is empty. Give a long random text.');
  }
  if (apiKeys.length === 0 && !isLoopbackName(host)) {
    throw new AiosError(
      'REQUEST_INVALID',
      `refusing to listen on '${host}' without an API key: everyone who reaches this machine could run code on it. Set an API key, or listen on 127.0.0.1.`,
    );
  }
  return apiKeys.length > 0 ? keyRule(apiKeys) : localRule;
}

function keyRule(apiKeys: readonly string[]): AccessRule {
  const digests = apiKeys.map(digest);
  return {
    check(headers) {
      const shown = /^Bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1];
      const shownDigest = digest(shown ?? '');
      // Every key is compared, so that the time says nothing about which came close.
      const known = digests.map((key) => timingSafeEqual(key, shownDigest)).lastIndexOf(true);
      if (shown === undefined || known < 0) {
        throw new AiosError(
          'UNAUTHENTICATED',
          shown === undefined
            ? 'this control plane wants an API key. Send it as `Authorization: Bearer KEY`.'
            : 'the API key is not known. Check AIOS_API_KEY.',
        );
      }
      return `key-${known + 1}`;
    },
  };
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * A page of any site can make the browser on this machine send requests here; a name of its own that resolves to
 * 127.0.0.1 (DNS rebinding) even lets it read the answers. The Host and Origin headers give both away.
 */
const localRule: AccessRule = {
  check(headers) {
    const host = headers.get('host') ?? '';
    if (!isLoopbackName(hostName(host))) {
      throw new AiosError(
        'FORBIDDEN',
        `the Host header '${host.slice(0, 100)}' is not this machine's loopback name. Use http://127.0.0.1, or start the control plane with an API key.`,
      );
    }
    const origin = headers.get('origin');
    if (origin !== null && !isLoopbackOrigin(origin)) {
      throw new AiosError(
        'FORBIDDEN',
        `pages of '${origin.slice(0, 100)}' may not call this control plane. Start it with an API key to let them.`,
      );
    }
    if (headers.get('sec-fetch-site') === 'cross-site' && origin === null) {
      throw new AiosError('FORBIDDEN', 'pages of other sites may not call this control plane.');
    }
    return undefined;
  },
};

function isLoopbackOrigin(origin: string): boolean {
  return URL.canParse(origin) && isLoopbackName(new URL(origin).hostname);
}

/** `[::1]:80` → `::1`, `localhost:80` → `localhost`. */
const hostName = (host: string): string =>
  /^\[(.*)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, '');

/** Names and addresses that only this machine's own programs reach. */
export function isLoopbackName(name: string): boolean {
  const bare = name.toLowerCase().replace(/^\[|\]$/g, '');
  return bare === 'localhost' || isLoopbackAddress(bare);
}

export function isLoopbackAddress(address: string): boolean {
  const bare = address.toLowerCase().replace(/^::ffff:/, '');
  return bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}
