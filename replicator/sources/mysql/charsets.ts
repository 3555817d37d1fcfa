/** Text of character columns in the binlog, where it stands in the character set of its column. */
import { damagedEvent } from './damaged-event.ts';

/** MySQL's names and what the Encoding Standard calls them. latin1 of MySQL is windows-1252 there. */
const labels: Readonly<Record<string, string>> = {
  latin1: 'windows-1252',
  latin2: 'iso-8859-2',
  latin7: 'iso-8859-13',
  greek: 'iso-8859-7',
  hebrew: 'iso-8859-8',
  cp866: 'ibm866',
  cp1250: 'windows-1250',
  cp1251: 'windows-1251',
  cp1256: 'windows-1256',
  cp1257: 'windows-1257',
  koi8r: 'koi8-r',
  koi8u: 'koi8-u',
  macroman: 'macintosh',
  tis620: 'windows-874',
  big5: 'big5',
  gbk: 'gbk',
  gb2312: 'gbk',
  gb18030: 'gb18030',
  sjis: 'shift_jis',
  cp932: 'shift_jis',
  ujis: 'euc-jp',
  eucjpms: 'euc-jp',
  euckr: 'euc-kr',
  ucs2: 'utf-16be',
  utf16: 'utf-16be',
  utf16le: 'utf-16le',
};

/** Null: a character set that this cannot read. */
export function charsetDecoder(charset: string | null): ((bytes: Buffer, from: number, to: number) => string) | null {
  switch (charset) {
    case null:
    case 'utf8mb4':
    case 'utf8mb3':
    case 'utf8':
    case 'ascii':
    case 'binary':
      return (bytes, from, to) => bytes.toString('utf8', from, to);
    case 'utf32':
      return utf32Text;
    default: {
      const label = labels[charset];
      if (label === undefined) return null;
      const decoder = new TextDecoder(label, { ignoreBOM: true });
      return (bytes, from, to) => decoder.decode(bytes.subarray(from, to));
    }
  }
}

function utf32Text(bytes: Buffer, from: number, to: number): string {
  if ((to - from) % 4 !== 0) throw damagedEvent('text that is no UTF-32');
  let text = '';
  for (let at = from; at < to; at += 4) {
    const code = bytes.readUInt32BE(at);
    text += code <= 0x10_ffff ? String.fromCodePoint(code) : '\ufffd';
  }
  return text;
}
