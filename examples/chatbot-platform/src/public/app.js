// The page. The address holds the open conversation (#<id>), so reload, back and bookmarks work by
// themselves.
const find = (id) => document.getElementById(id)
const messages = find('messages')

/**
 * Calls the API. A signed-out answer leads back to the form; any other failure is shown and ends the action.
 */
async function call(method, path, body) {
  const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) })
  if (response.ok) return response
  if (response.status === 401 && path !== '/api/session') showAccount(null)
  throw new Error((await response.json()).message)
}

const get = async (path) => (await call('GET', path)).json()

/** Runs what a person asked for, its button held down meanwhile, and shows what went wrong. */
function act(action, button) {
  if (button?.disabled) return
  find('problem').textContent = ''
  button?.toggleAttribute('disabled', true)
  action()
    .catch((error) => {
      find('problem').textContent =
        error instanceof TypeError ? 'The server cannot be reached.' : error.message
    })
    .finally(() => button?.toggleAttribute('disabled', false))
}

function showAccount(account) {
  find('sign-in').hidden = account !== null
  find('signed-in').hidden = account === null
  find('chat').hidden = account === null
  find('account').textContent = account?.name ?? ''
  if (account === null) messages.replaceChildren()
}

async function showList() {
  const { conversations } = await get('/api/conversations')
  const items = conversations.map(({ id, title }) => {
    const link = document.createElement('a')
    link.href = `#${id}`
    link.textContent = title
    if (id === openId()) link.setAttribute('aria-current', 'page')
    const item = document.createElement('li')
    item.append(link)
    return item
  })
  find('conversations').replaceChildren(...items)
}

const openId = () => location.hash.slice(1)

async function showConversation() {
  const id = openId()
  find('conversation').hidden = true // a message sent before its history is there would be wiped out by it
  if (id === '') return
  const conversation = await get(`/api/conversations/${id}`)
  if (id !== openId()) return // another one was opened meanwhile
  find('conversation').hidden = false
  find('title').textContent = conversation.title
  messages.replaceChildren()
  for (const { author, text } of conversation.messages) addMessage(author, text)
}

/** @returns the element that the text of a streamed reply is added to */
function addMessage(author, text) {
  const message = document.createElement('div')
  message.className = author
  const name = document.createElement('strong')
  name.textContent = author === 'user' ? 'You' : 'Bot'
  const content = document.createElement('span')
  content.textContent = text
  message.append(name, content)
  messages.append(message)
  messages.scrollTop = messages.scrollHeight
  return content
}

async function send(text) {
  const id = openId()
  const response = await call('POST', `/api/conversations/${id}/messages`, { text })
  addMessage('user', text)
  find('message').value = ''
  const content = addMessage('bot', '')
  messages.setAttribute('aria-busy', 'true') // a screen reader waits for the whole reply
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    content.textContent += part.value
    messages.scrollTop = messages.scrollHeight
  }
  messages.removeAttribute('aria-busy')
  await showList() // its first message gave the conversation a title
  find('title').textContent = find('conversations').querySelector('[aria-current]')?.textContent ?? ''
}

async function showAll() {
  await Promise.all([showList(), showConversation()])
}

async function start() {
  const { account } = await get('/api/session')
  showAccount(account)
  if (account) await showAll()
}

find('sign-in').addEventListener('submit', (event) => {
  event.preventDefault()
  const form = event.target
  act(async () => {
    await call('POST', '/api/session', Object.fromEntries(new FormData(form)))
    form.reset()
    await start()
    find('new-conversation').focus()
  }, form.querySelector('button'))
})

find('sign-out').addEventListener('click', (event) => {
  act(async () => {
    await call('DELETE', '/api/session')
    location.assign('/')
  }, event.target)
})

find('new-conversation').addEventListener('click', (event) => {
  act(async () => {
    const { id } = await (await call('POST', '/api/conversations', {})).json()
    history.pushState(null, '', `#${id}`)
    await showAll()
    find('message').focus()
  }, event.target)
})

find('delete-conversation').addEventListener('click', (event) => {
  if (!confirm('Delete this conversation?')) return
  act(async () => {
    await call('DELETE', `/api/conversations/${openId()}`)
    history.pushState(null, '', '/')
    await showAll()
    find('new-conversation').focus()
  }, event.target)
})

find('compose').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = find('message').value.trim()
  if (text !== '') act(() => send(text), event.target.querySelector('[type=submit]'))
})

// Enter sends, Shift+Enter begins a new line.
find('message').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  find('compose').requestSubmit()
})

addEventListener('hashchange', () => act(showAll))

act(start)
