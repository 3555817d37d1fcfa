import { chromium as playwright } from 'playwright-core';
import { expect, test } from 'vitest';
import { chromium } from './chromium.ts';

test('Chromium starts and runs a page', async () => {
  const browser = await playwright.launch(await chromium());
  try {
    const page = await browser.newPage();
    expect(await page.evaluate('1 + 1')).toBe(2);
  } finally {
    await browser.close();
  }
});
