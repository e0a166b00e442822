/**
 * What NetworkPolicies let through to and from pods, by the API's rules: a pod that no policy selects is open; one that
 * some select is open to what any of them admits. https://kubernetes.io/docs/concepts/services-networking/network-policies/
 */
import { answersOf, podsOf, type Case } from './case.ts'
import { kubectl, type Cause } from './cause.ts'
import type { Policy, PolicyRule, SeenPod } from './seen.ts'

/** A policy in the way of users. Whether it is enforced is the cluster's matter: who is answered all the same is let in. */
export function policyCauses(about: Case): Cause[] {
  const { live, policies = [], service, site } = about
  if (live === undefined || !service) return []
  const pods = podsOf(about, live)
  const shut = pods.flatMap((pod) =>
    service.spec.ports.flatMap(({ port, targetPort = port }) => {
      const number = portNumber(pod, targetPort)
      if (number === undefined) return []
      const selecting = policies.filter((policy) => selects(policy, pod) && governs(policy, 'Ingress'))
      const admitted = selecting.some(({ spec }) =>
        spec.ingress.some((rule) => admits(rule, number, targetPort)),
      )
      return selecting.length > 0 && !admitted ? [{ pod, number, selecting }] : []
    }),
  )
  const [first] = shut
  if (!first) return []
  const names = [...new Set(shut.flatMap(({ selecting }) => selecting.map(({ metadata }) => metadata.name)))]
  const answers = answersOf(about, live)
  const answered = answers.some(({ failure }) => failure === undefined)
  return [
    {
      id: 'network-policy',
      trouble: 'traffic does not switch',
      what: `no NetworkPolicy lets anybody in to port ${first.number} of ${live}`,
      certainty: answered ? 'possible' : 'likely',
      users: true,
      evidence: [
        `selected by ${names.join(', ')}`,
        answered
          ? 'the live URL is answered all the same: not enforced, or let in elsewhere'
          : 'the live URL is silent',
      ],
      next: kubectl(site, 'describe', 'networkpolicy', ...names),
    },
  ]
}

/** The policies that keep a pod from reaching a port elsewhere. */
export function keepsFrom({ policies = [] }: Case, pod: SeenPod, port: number): string[] {
  const selecting = policies.filter((policy) => selects(policy, pod) && governs(policy, 'Egress'))
  const admitted = selecting.some(({ spec }) => (spec.egress ?? []).some((rule) => admits(rule, port, port)))
  return admitted ? [] : selecting.map(({ metadata }) => metadata.name)
}

/** Without types, a policy is for what comes in, and for what goes out where it has rules for that. */
function governs({ spec }: Policy, direction: 'Ingress' | 'Egress'): boolean {
  if (spec.policyTypes.length > 0) return spec.policyTypes.includes(direction)
  return direction === 'Ingress' || spec.egress !== undefined
}

function selects({ spec: { podSelector } }: Policy, { metadata: { labels } }: SeenPod): boolean {
  const exact = Object.entries(podSelector.matchLabels).every(([name, value]) => labels[name] === value)
  const others = podSelector.matchExpressions.every(({ key, operator, values }) => {
    const value = labels[key]
    if (operator === 'Exists') return value !== undefined
    if (operator === 'DoesNotExist') return value === undefined
    const listed = value !== undefined && values.includes(value)
    return operator === 'In' ? listed : !listed
  })
  return exact && others
}

/** A rule without ports is for all of them. Whom it is for is not asked: that somebody is let in is enough. */
const admits = ({ ports }: PolicyRule, number: number | undefined, name: string | number): boolean =>
  ports.length === 0 ||
  ports.some(({ port, endPort }) => {
    if (port === undefined || port === name || port === number) return true
    return typeof port === 'number' && number !== undefined && port <= number && number <= (endPort ?? port)
  })

function portNumber({ spec }: SeenPod, target: string | number): number | undefined {
  if (typeof target === 'number') return target
  return spec.containers.flatMap(({ ports }) => ports).find(({ name }) => name === target)?.containerPort
}
