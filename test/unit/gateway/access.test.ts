import { describe, expect, test } from 'vitest';
import {
  createAccessRule,
  isLoopbackAddress,
  isLoopbackName,
} from '../../../runtime/gateway/access.ts';

describe('addresses of this machine', () => {
  test.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])('%s is one', (address) => {
    expect(isLoopbackAddress(address)).toBe(true);
  });

  test.each([
    '10.0.0.1',
    '0.0.0.0',
    '::',
    '::ffff:10.0.0.1',
    '127.0.0.1.evil.example',
    '1270.0.0.1',
    '',
  ])('%j is none', (address) => {
    expect(isLoopbackAddress(address)).toBe(false);
    expect(isLoopbackName(address)).toBe(false);
  });

  test('have the names localhost and [::1]', () => {
    expect(isLoopbackName('LocalHost')).toBe(true);
    expect(isLoopbackName('[::1]')).toBe(true);
    expect(isLoopbackName('localhost.evil.example')).toBe(false);
  });
});

describe('a request without a Host header', () => {
  test('is refused where no key protects the control plane', () => {
    const rule = createAccessRule('127.0.0.1', []);

    expect(() => rule.check(new Headers())).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
  });
});

describe('a key', () => {
  const rule = createAccessRule('0.0.0.0', ['k1', 'k2']);
  const check = (authorization: string) => () => rule.check(new Headers({ authorization }));

  test.each(['Bearer k1', 'bearer k2', 'Bearer   k1'])('lets in: %s', (authorization) => {
    expect(check(authorization)).not.toThrow();
  });

  test('has a name that says nothing of it', () => {
    expect(check('Bearer k2')()).toBe('key-2');
    expect(check('Bearer k1')()).toBe('key-1');
  });

  test.each(['k1', 'Basic k1', 'Bearer', 'Bearer k1k2', 'Bearer K1', 'Bearer k1 k2'])(
    'keeps out: %s',
    (authorization) => {
      expect(check(authorization)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
    },
  );
});
