// A client in a hurry: sends the file in argv[4] (16 kHz mono PCM16), `session.stop` and its close frame in one tick.
// argv[2] is the address, argv[3] the key. Prints every message it is told, one a line, then {"closed": CODE}.
import fs from 'node:fs';
import WebSocket from 'ws';

const [address, key, file] = process.argv.slice(2);
const ws = new WebSocket(address, { headers: { 'X-API-Key': key } });
ws.on('message', (data) => {
  console.log(data.toString());
  if (JSON.parse(data).type !== 'session.ready') return;
  ws.send(fs.readFileSync(file));
  ws.send(JSON.stringify({ type: 'session.stop' }));
  ws.close();
});
ws.on('open', () => ws.send(JSON.stringify({ type: 'session.start', language: 'english' })));
ws.on('close', (code) => console.log(JSON.stringify({ closed: code })));
