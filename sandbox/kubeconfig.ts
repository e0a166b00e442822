/** The kubeconfig by which kubectl finds the sandbox. No credentials: whoever can reach 127.0.0.1 is the admin. */

export function kubeconfig(url: string, context: string): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: context, cluster: { server: url } }],
    users: [{ name: context, user: {} }],
    contexts: [{ name: context, context: { cluster: context, user: context } }],
    'current-context': context,
  }
  return `${JSON.stringify(config, null, 2)}\n` // JSON is YAML
}
