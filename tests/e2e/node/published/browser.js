const socket = new WebSocket('wss://api.valsea.ai/v1/realtime/tts');

socket.addEventListener('open', () => {
  socket.send(JSON.stringify({ token: 'YOUR_API_KEY' }));
});

socket.addEventListener('message', (event) => {
  if (event.data instanceof Blob) {
    // Queue audio chunks for playback.
    return;
  }

  const message = JSON.parse(event.data);

  if (message.type === 'successful-authentication') {
    socket.send(
      JSON.stringify({
        type: 'speak',
        text: assistantText,
        voice: 'valsea-default',
        audio_format: 'mp3',
      }),
    );
  }
});
