/** Times its own size that a buffer which is kept may take. */
const SHARED_AT_MOST = 2;

/**
 * Bytes that are kept, without what they are a part of: what comes from storage shares its memory with other answers, compressors cut their output
 * from larger buffers, and small buffers of Node stand in slabs of 64 KB. One page of 100 bytes would keep all of that (G9).
 */
export function ownBuffer(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength <= SHARED_AT_MOST * bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  own.set(bytes);
  return own;
}
