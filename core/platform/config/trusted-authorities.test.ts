import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { trustedAuthorities } from './trusted-authorities.ts';

test('the authorities of AWS RDS are trusted, and the public ones that Azure and Neon use (R-17)', () => {
  const subjects = trustedAuthorities().map((text) => new X509Certificate(text).subject);
  expect(subjects.some((subject) => /Amazon RDS eu-central-1 Root CA RSA2048 G1/.test(subject))).toBe(true);
  expect(subjects.some((subject) => /DigiCert Global Root G2/.test(subject))).toBe(true);
  expect(subjects.some((subject) => /ISRG Root X1/.test(subject))).toBe(true);
});
