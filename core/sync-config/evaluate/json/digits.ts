/** The number that a text of decimal digits stands for; null for anything else. */
export function asciiDigits(text: string): number | null {
  if (text.length === 0 || text.length > 15) return null;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 48 || code > 57) return null;
  }
  return Number(text);
}
