const response = await fetch('https://api.valsea.ai/v1/chat/completions', {
  method: 'POST',
  headers: {
    Authorization: 'Bearer YOUR_API_KEY',
    'Content-Type': 'application/json',
  },
  body: JSON.stringify({
    model: 'valsea-fast',
    messages: [
      { role: 'system', content: 'You are a helpful voice assistant.' },
      { role: 'user', content: transcriptText },
    ],
  }),
});

const completion = await response.json();
const assistantText = completion.choices[0].message.content;
