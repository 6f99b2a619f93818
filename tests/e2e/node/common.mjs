// What the scripts share: where the server is, and OpenAI's client as its documentation shows it.
import buffer from 'node:buffer';
import OpenAI from 'openai';

// Node 18 has File, but not as a global; the SDK says itself to do this.
globalThis.File ??= buffer.File;

const { VOXGATE_URL, VOXGATE_KEY, VOXGATE_OTHER_KEY, VOXGATE_FIXTURES } = process.env;
export const url = VOXGATE_URL;
export const key = VOXGATE_KEY;
export const otherKey = VOXGATE_OTHER_KEY;
export const recording = (name) => `${VOXGATE_FIXTURES}/${name}.flac`;

export const client = (options = {}) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, ...options });

export const words = (text) => text.toLowerCase().match(/[a-z']+/g) ?? [];

export const credits = async (apiKey) => {
  for (let tries = 0; tries < 200; tries += 1) {
    const answer = await fetch(`${url}/v1/credits`, { headers: { Authorization: `Bearer ${apiKey}` } });
    const { balance, held } = await answer.json();
    if (held === 0) return balance;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('still held');
};
