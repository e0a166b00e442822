import { expect, test } from 'bun:test'
import { reply, streamWords } from '../../../examples/chatbot-platform/src/chat.ts'

test.each([
  ['Hello', 'Hello! What would you like to talk about?'],
  ['my name is Zoë', 'Nice to meet you, Zoë. What brings you here?'],
  ["I'm tired of waiting.", 'How long have you been tired of waiting?'],
  ['Thanks a lot', 'You are welcome. Is there anything else?'],
  ['Is it late?', 'That is a good question. What do you think yourself?'],
  [' one ', 'You said 1 word, the last was "one". Tell me more.'],
  ['three words here', 'You said 3 words, the last was "here". Tell me more.'],
])('"%s" is answered by "%s"', (said, answer) => {
  expect(reply(said)).toBe(answer)
})

test('a reply is streamed a word at a time, and is whole in the end', async () => {
  const decoder = new TextDecoder()
  const parts: string[] = []
  for await (const chunk of streamWords('Hello, big  world', 0)) parts.push(decoder.decode(chunk))
  expect(parts).toEqual(['Hello, ', 'big ', ' ', 'world'])
})
