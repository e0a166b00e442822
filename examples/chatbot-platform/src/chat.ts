/** The bot: a function of what was said. It needs no network, and a check can know its answer beforehand. */
type Rule = readonly [said: RegExp, answer: (match: RegExpExecArray) => string]

const rules: readonly Rule[] = [
  [/^(hi|hello|hey|good (?:morning|evening))\b/i, () => 'Hello! What would you like to talk about?'],
  [/\bmy name is (\p{L}+)/iu, ([, name]) => `Nice to meet you, ${name}. What brings you here?`],
  [/\bi(?: am|'m) (.{1,80}?)[.!?]*$/i, ([, state]) => `How long have you been ${state}?`],
  [/\bthank/i, () => 'You are welcome. Is there anything else?'],
  [/^(?:bye|goodbye)\b/i, () => 'Goodbye! This conversation will still be here when you come back.'],
  [/\?\s*$/, () => 'That is a good question. What do you think yourself?'],
]

/** @returns the same reply for the same text, always */
export function reply(text: string): string {
  const said = text.trim()
  for (const [pattern, answer] of rules) {
    const match = pattern.exec(said)
    if (match) return answer(match)
  }
  const words = said.split(/\s+/)
  return `You said ${words.length} ${words.length === 1 ? 'word' : 'words'}, the last was "${words.at(-1)}". Tell me more.`
}

/** The text as a stream, one word at a time, as a language model would send it. */
export function streamWords(text: string, pauseMs: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const words = text.split(/(?<=\s)/)
  let next = 0
  return new ReadableStream({
    async pull(controller) {
      const word = words[next++]
      if (word === undefined) return controller.close()
      if (next > 1) await Bun.sleep(pauseMs)
      controller.enqueue(encoder.encode(word))
    },
  })
}
