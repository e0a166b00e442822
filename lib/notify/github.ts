/**
 * GitHub Deployments, for who deploys outside of Actions: inside, `environment:` makes one already.
 * https://docs.github.com/en/rest/deployments
 */
import type { ChannelOf, State } from '../settings/notify.ts'
import { plain } from '../text.ts'
import { headline, type Message } from './message.ts'
import { answered, post, type Posted, type Result, type Sender, type Sending } from './post.ts'

const STATUS: Record<State, string> = {
  started: 'in_progress',
  verified: 'in_progress',
  switched: 'in_progress',
  baking: 'in_progress',
  environment: 'in_progress',
  succeeded: 'success',
  'rolled-back-by-hand': 'success',
  stopped: 'failure',
  'rolled-back': 'failure',
  'rollback-failed': 'error',
  'needs-person': 'error',
  'lock-taken-over': 'error',
  superseded: 'inactive',
}

const DESCRIPTION = 140

/** What it takes to be told: the deployment is made by the first state, each state is a status of it. */
export function github(
  settings: ChannelOf<'github'>,
  token: string,
  about: { version: string; url: string },
): Sender {
  const { api, repository, ref: template } = settings
  const base = `${api}/repos/${repository}/deployments`
  const headers = {
    authorization: `Bearer ${token}`,
    accept: 'application/vnd.github+json',
    'x-github-api-version': '2022-11-28',
  }
  const create = async (message: Message, { signal, now }: Sending): Promise<Posted> => {
    const body = {
      ref: template.replaceAll('{version}', about.version),
      environment: message.environment,
      description: short(message.title),
      payload: { record: message.record },
      auto_merge: false,
      required_contexts: [],
    }
    return await post(base, { headers, body, signal, now })
  }
  const send = async (message: Message, around: Sending): Promise<Result> => {
    const { signal, now } = around
    let deployment = around.ref
    if (deployment === undefined) {
      const made = await create(message, around)
      if (!('sent' in made.result)) return made.result
      deployment = `${answered(made).id ?? ''}`
    }
    const body = {
      state: STATUS[message.state],
      description: short(headline(message)),
      environment_url: about.url,
      auto_inactive: true,
      ...(message.link && { log_url: message.link }),
    }
    const { result } = await post(`${base}/${deployment}/statuses`, { headers, body, signal, now })
    return { ...result, ref: deployment }
  }
  return { once: false, secrets: [token], send }
}

const short = (text: string): string => plain(text, DESCRIPTION)
