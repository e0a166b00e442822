/** From what deploy.yaml declares to what sends: the secrets are taken from the environment here, and nowhere else. */
import type { Channel, NotifySettings } from '../settings/notify.ts'
import { cdevents } from './cdevents.ts'
import { email } from './email.ts'
import { github } from './github.ts'
import { grafana } from './grafana.ts'
import { wrongAddress, type Sender } from './post.ts'
import { slack } from './slack.ts'
import type { Subject } from './states.ts'
import { teams } from './teams.ts'
import { webhook, wrongSecret } from './webhook.ts'

export type Variables = Readonly<Record<string, string | undefined>>

/** What a channel says of its own beside the message. */
export interface About {
  subject: Pick<Subject, 'to'>
  /** Where users reach the application. */
  url: string
}

export const declared = (settings: NotifySettings | undefined): [name: string, channel: Channel][] =>
  Object.entries(settings ?? {}).flatMap(([name, channel]) => (channel === false ? [] : [[name, channel]]))

/** Why it cannot be used, or what sends. */
export type Opened = { sender: Sender } | { problem: string }

export function open(channel: Channel, variables: Variables, about: About): Opened {
  const problems: string[] = []
  /** The variable's value; what is wrong with it is said by its name alone. */
  const secret = (name: string, wrong: (value: string) => string | undefined = () => undefined): string => {
    const value = variables[name]?.trim() ?? ''
    const problem = value === '' ? 'is not set' : wrong(value)
    if (problem) problems.push(`the environment variable ${name} ${problem}`)
    return value
  }
  const given = values(channel, secret)
  return problems.length > 0 ? { problem: problems.join('; ') } : { sender: senderOf(channel, given, about) }
}

interface Given {
  address: string
  token: string | undefined
}

function values(
  channel: Channel,
  secret: (name: string, wrong?: (value: string) => string | undefined) => string,
): Given {
  switch (channel.kind) {
    case 'slack':
      if (channel.webhook !== undefined)
        return { address: secret(channel.webhook, wrongAddress), token: undefined }
      return { address: '', token: secret(channel.token ?? '') }
    case 'teams':
      return { address: secret(channel.webhook, wrongAddress), token: undefined }
    case 'email':
      return { address: '', token: channel.password === undefined ? undefined : secret(channel.password) }
    case 'webhook':
      return { address: '', token: secret(channel.secret, wrongSecret) }
    case 'cdevents':
      return { address: '', token: channel.token === undefined ? undefined : secret(channel.token) }
    case 'github':
    case 'grafana':
      break
  }
  return { address: '', token: secret(channel.token) }
}

function senderOf(channel: Channel, { address, token }: Given, about: About): Sender {
  const { version, image } = about.subject.to
  switch (channel.kind) {
    case 'slack':
      return slack(channel, token === undefined ? { webhook: address } : { token })
    case 'teams':
      return teams(address)
    case 'email':
      return email(channel, token)
    case 'webhook':
      return webhook(channel, token ?? '')
    case 'cdevents':
      return cdevents(channel, token, image)
    case 'github':
      return github(channel, token ?? '', { version, url: about.url })
    case 'grafana':
      break
  }
  return grafana(channel, token ?? '')
}
