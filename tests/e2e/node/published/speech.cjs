const WebSocket = require('ws');
const fs = require('fs');

const ws = new WebSocket('wss://api.valsea.ai/v1/realtime/tts', {
  headers: { Authorization: 'Bearer YOUR_API_KEY' },
});

const chunks = [];

ws.on('message', (data, isBinary) => {
  if (isBinary) {
    chunks.push(Buffer.from(data));
    return;
  }

  const message = JSON.parse(data.toString());

  if (message.type === 'session.created') {
    ws.send(
      JSON.stringify({
        type: 'session.start',
        model: 'valsea-tts-realtime',
        language: 'vietnamese',
        voice: 'valsea-neutral',
        response_format: 'mp3',
      }),
    );
  }

  if (message.type === 'session.ready') {
    ws.send(
      JSON.stringify({
        type: 'speech.create',
        input: 'Xin chao, day la giong noi Valsea.',
      }),
    );
  }

  if (message.type === 'speech.finished') {
    fs.writeFileSync('speech.mp3', Buffer.concat(chunks));
    ws.send(JSON.stringify({ type: 'session.stop' }));
  }
});
