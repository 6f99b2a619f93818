const WebSocket = require('ws');
const fs = require('fs');

const ws = new WebSocket('wss://api.valsea.ai/v1/realtime', {
  headers: { 'X-API-Key': 'YOUR_KEY' },
});

ws.on('open', () => {
  // 1. Configure Session
  ws.send(
    JSON.stringify({
      type: 'session.start',
      model: 'valsea-singlish-rtt',
    }),
  );
});

ws.on('message', (data) => {
  const msg = JSON.parse(data);
  if (msg.type === 'session.ready') {
    // 2. Start streaming audio (example)
    const audioStream = fs.createReadStream('audio.raw');
    audioStream.on('data', (chunk) => {
      ws.send(
        JSON.stringify({
          type: 'audio.append',
          audio: chunk.toString('base64'),
        }),
      );
    });
  } else if (msg.type === 'transcript.final') {
    console.log('Final:', msg.text);
  }
});
