import { describe, expect, test } from 'bun:test'
import { html, inert } from '../../../lib/report/markup.ts'
import { hostile } from '../hostile.ts'

describe('what is put into a template is never markup', () => {
  test.each(hostile.map((text) => [text.slice(0, 40), text]))('%j', (_, text) => {
    const made = html`<p title="${text}">${text}</p>`.text
    expect(made.match(/</g)).toHaveLength(2)
    expect(made.match(/"/g)).toHaveLength(2)
    for (const one of '\n\r\u001B\u202E') expect(made).not.toContain(one)
    expect(made.length).toBeLessThan(10_000)
  })

  test('but what came out of one is, and lists of it', () =>
    expect(html`${['<', 'b'].map((text) => html`<b>${text}</b>`)}`.text).toBe('<b>&lt;</b>\n<b>b</b>'))

  test('what stood between words goes on to', () => expect(html`a${' b '}c`.text).toBe('a b c'))

  test('nothing is nothing', () => expect(html`${undefined}${0}`.text).toBe('0'))
})

describe('inert', () => {
  test('coordinates and pictures go through, however long', () => {
    const path = 'M0 1.5V-20H3Z'.repeat(1000)
    expect(html`<path d="${inert(path)}" />`.text).toContain(path)
    expect(inert('data:image/png;base64,AAAA+/==').text).toBe('data:image/png;base64,AAAA+/==')
  })

  test.each(['"', '<', '>', '&', "'", '\n', '(', '%', '#'])('%j does not', (text) =>
    expect(() => inert(`M0 0${text}`)).toThrow('not inert'),
  )
})
