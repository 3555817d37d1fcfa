/** Dates, times and decimals as MySQL packs them, back into the texts that the text protocol has for them. */

const twoDigits = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));
const two = (value: number): string => twoDigits[value] ?? String(value);

/** `YYYY-MM-DD`; parts may be zero. */
export function dateText(year: number, month: number, day: number): string {
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

/** `.123`, or nothing. */
function fractionText(microseconds: number, digits: number): string {
  return digits === 0 ? '' : `.${String(microseconds).padStart(6, '0').slice(0, digits)}`;
}

/** Date and time from the packed integer without its fraction: 17 bits year * 13 + month, 5 day, 5 hour, 6 minute, 6 second. */
export function dateTimeText(packed: number, microseconds: number, digits: number): string {
  const yearMonthDay = Math.floor(packed / 0x2_0000);
  const time = packed % 0x2_0000;
  const yearMonth = Math.floor(yearMonthDay / 32);
  const date = dateText(Math.floor(yearMonth / 13), yearMonth % 13, yearMonthDay % 32);
  return `${date} ${two(time >> 12)}:${two((time >> 6) & 63)}:${two(time & 63)}${fractionText(microseconds, digits)}`;
}

/** A span from its packed magnitude: 10 bits hour, 6 minute, 6 second. */
export function timeText(negative: boolean, packed: number, microseconds: number, digits: number): string {
  const time = `${two((packed >> 12) & 1_023)}:${two((packed >> 6) & 63)}:${two(packed & 63)}`;
  return (negative ? '-' : '') + time + fractionText(microseconds, digits);
}

/** Seconds since 1970 as UTC; 0 stands for no time at all. */
export function timestampText(seconds: number, microseconds: number, digits: number): string {
  if (seconds === 0 && microseconds === 0) return `0000-00-00 00:00:00${fractionText(0, digits)}`;
  const iso = new Date(seconds * 1_000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fractionText(microseconds, digits)}`;
}

const digitsPerGroup = 9;
/** Bytes that so many digits of an incomplete group take. */
const bytesOfDigits = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

export function decimalBytes(precision: number, scale: number): number {
  const whole = precision - scale;
  const groups = Math.floor(whole / digitsPerGroup) + Math.floor(scale / digitsPerGroup);
  return 4 * groups + bytesOfDigits[whole % digitsPerGroup]! + bytesOfDigits[scale % digitsPerGroup]!;
}

/** Text of a decimal of `decimalBytes` bytes: groups of nine digits, the highest bit turned over, all bits turned over when negative. */
export function decimalText(bytes: Uint8Array, at: number, precision: number, scale: number): string {
  const negative = (bytes[at]! & 0x80) === 0;
  const mask = negative ? 0xff : 0;
  let next = at;
  const group = (digits: number): string => {
    if (digits === 0) return '';
    let value = 0;
    for (let left = bytesOfDigits[digits]!; left > 0; left -= 1, next += 1) {
      value = value * 256 + ((bytes[next]! ^ mask) & (next === at ? 0x7f : 0xff));
    }
    return String(value).padStart(digits, '0');
  };
  const wholeDigits = precision - scale;
  let whole = group(wholeDigits % digitsPerGroup);
  for (let left = Math.floor(wholeDigits / digitsPerGroup); left > 0; left -= 1) whole += group(digitsPerGroup);
  let fraction = '';
  for (let left = Math.floor(scale / digitsPerGroup); left > 0; left -= 1) fraction += group(digitsPerGroup);
  fraction += group(scale % digitsPerGroup);
  const text = (whole.replace(/^0+(?=\d)/, '') || '0') + (fraction === '' ? '' : `.${fraction}`);
  return negative ? `-${text}` : text;
}
