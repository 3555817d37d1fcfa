/**
 * The CRC-32 (RFC 1952, 8) of bytes put behind others, from the sums of both: what several clients get alike is summed once. Polynomials over
 * GF(2) modulo that of the CRC, reflected as usual: the highest bit is the coefficient of x^0.
 */
const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;

/** A sum, and what putting its bytes behind others does to the sum of those. */
export interface SummedBytes {
  readonly crc: number;
  /** x^(8 * length) modulo the polynomial. */
  readonly shift: number;
}

export function summedBytes(crc: number, length: number): SummedBytes {
  let shift = ONE;
  // Bytes, so the power begins at x^8: the third square of x.
  for (let rest = length, square = 3; rest > 0; rest = Math.floor(rest / 2), square++) {
    if (rest % 2 === 1) shift = multiply(SQUARES[square % 32]!, shift);
  }
  return { crc, shift };
}

/** The CRC-32 of what has the sum `crc`, followed by `next`. */
export function appendCrc(crc: number, next: SummedBytes): number {
  return (multiply(next.shift, crc) ^ next.crc) >>> 0;
}

function multiply(a: number, b: number): number {
  let product = 0;
  let rest = b;
  for (let bit = ONE; ; bit >>>= 1) {
    if ((a & bit) !== 0) {
      product ^= rest;
      if ((a & (bit - 1)) === 0) return product >>> 0;
    }
    if (bit === 1) return product >>> 0;
    rest = (rest & 1) === 0 ? rest >>> 1 : (rest >>> 1) ^ POLYNOMIAL;
  }
}

/** x^(2^n) modulo the polynomial; the sequence begins again after 32, as it does in zlib. */
const SQUARES: readonly number[] = (() => {
  const squares = [ONE >>> 1];
  while (squares.length < 32) squares.push(multiply(squares.at(-1)!, squares.at(-1)!));
  return squares;
})();
