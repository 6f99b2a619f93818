// Debian's Chromium, driven by playwright-core: one fresh profile, thrown away with the browser.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

// A microphone that plays this WAV file once, from the moment it is opened; nobody is asked for permission.
const microphone = (file) => [
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  `--use-file-for-fake-audio-capture=${file}%noloop`,
];

// Calls `visit(page, complaints)` on a blank page and closes the browser, whatever comes of it. `complaints` are the
// page's own: what it threw, and what it wrote to the console as an error.
export async function inChromium(visit, { hears = null, ...options } = {}) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'voxgate-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.VOXGATE_CHROMIUM,
    args: hears === null ? FLAGS : [...FLAGS, ...microphone(hears)],
    ...options,
  });
  try {
    const [page] = context.pages();
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
    return await visit(page, complaints);
  } finally {
    await context.close();
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
