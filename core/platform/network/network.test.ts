import type { LookupAddress } from 'node:dns';
import { createServer, isIP, Socket, type AddressInfo } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAddressRange, parseAddressRanges } from './address-ranges.ts';
import { allowedAddresses, guardedLookup } from './guarded-lookup.ts';

const refusal = (hostname: string): Error => new Error(`refused ${hostname}`);
const toNumber = (ip: string): number => ip.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);

describe('address ranges (R-8)', () => {
  test('an IPv4 range agrees with arithmetic on the address', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (network, address, prefix) => {
        const size = 2 ** (32 - prefix);
        const inside = Math.floor(toNumber(network) / size) === Math.floor(toNumber(address) / size);
        const ranges = parseAddressRanges([`${network}/${prefix}`]);
        expect(ranges.rejects(address)).toBe(inside);
        expect(ranges.rejects(`::ffff:${address}`)).toBe(inside);
        expect(ranges.rejects(`64:ff9b::${address}`)).toBe(inside);
      }),
    );
  });

  test.each([
    ['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1'],
    ['172.31.255.255', '192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '::1', '::', 'fe80::1%eth0'],
    ['fc00::1', 'fd12:3456::1', 'ff02::1', '::ffff:127.0.0.1', '::ffff:a00:1', '64:ff9b::a00:1', '2002:a00:1::'],
    ['2001:db8::1', '2001::1', '::127.0.0.1', 'localhost', '', '1.2.3'],
  ])('local refuses %s, %s, %s, …', (...addresses) => {
    const ranges = parseAddressRanges(['local']);
    for (const address of addresses) expect([address, ranges.rejects(address)]).toEqual([address, true]);
  });

  test('local allows public unicast', () => {
    const ranges = parseAddressRanges(['local']);
    for (const address of [
      '1.1.1.1',
      '8.8.8.8',
      '172.32.0.1',
      '100.128.0.1',
      '2606:4700::1111',
      '2a00:1450::1',
      '::ffff:8.8.8.8',
    ])
      expect([address, ranges.rejects(address)]).toEqual([address, false]);
  });

  test('nothing is refused without ranges', () => {
    const ranges = parseAddressRanges([]);
    expect(ranges.isEmpty).toBe(true);
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => !ranges.rejects(address)));
  });

  test('every address and every range with a fitting prefix is a range; other text is not', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.nat(32), (ip, prefix) => isAddressRange(ip) && isAddressRange(`${ip}/${prefix}`)),
    );
    fc.assert(
      fc.property(fc.ipV6(), fc.nat(128), (ip, prefix) => isAddressRange(ip) && isAddressRange(`${ip}/${prefix}`)),
    );
    for (const text of ['10.0.0.0/33', '::/129', '10.0.0', 'public', '', '1.2.3.4/', '1.2.3.4/-1', 'fe80::1%1/64'])
      expect([text, isAddressRange(text)]).toEqual([text, false]);
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (isAddressRange(text)) expect(() => parseAddressRanges([text])).not.toThrow();
        else expect(() => parseAddressRanges([text])).toThrow(TypeError);
      }),
    );
  });
});

describe('guarded lookup', () => {
  const resolveTo =
    (...addresses: string[]) =>
    async (): Promise<LookupAddress[]> =>
      addresses.map((address) => ({ address, family: isIP(address) }));

  test('refused addresses are left out; all refused is a refusal', async () => {
    const ranges = parseAddressRanges(['10.0.0.0/8']);
    const mixed = { ranges, refusal, resolve: resolveTo('10.0.0.1', '9.9.9.9') };
    expect(await allowedAddresses('db.example', mixed)).toEqual([{ address: '9.9.9.9', family: 4 }]);
    await expect(allowedAddresses('db.example', { ...mixed, resolve: resolveTo('10.0.0.1') })).rejects.toThrow(
      'refused',
    );
    await expect(allowedAddresses('10.1.1.1', mixed)).rejects.toThrow('refused 10.1.1.1');
  });

  test('a socket connects through it to what was checked, and not at all when refused', async () => {
    const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const connect = (ranges: string[]): Promise<string> =>
      new Promise((resolve, reject) => {
        const lookup = guardedLookup({ ranges: parseAddressRanges(ranges), refusal, resolve: resolveTo('127.0.0.1') });
        const socket = new Socket();
        socket.on('error', reject).on('data', (data) => resolve(data.toString()));
        socket.connect({ host: 'db.example', port, lookup });
      });
    await expect(connect(['10.0.0.0/8'])).resolves.toBe('hello');
    await expect(connect(['local'])).rejects.toThrow('refused db.example');
    server.close();
  });
});
