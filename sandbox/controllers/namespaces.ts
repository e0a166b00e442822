/** What every namespace has from the start. */
import type { Cluster, Controller } from './controller.ts'
import { keyOf } from './controller.ts'

/** Gives each namespace its ServiceAccount `default`, again should somebody delete it. */
export function namespaceController({ store }: Cluster): Controller {
  return {
    name: 'serviceaccount-controller',
    triggers: {
      namespaces: (namespace) => [keyOf(namespace)],
      serviceaccounts: ({ metadata }, event) => (event === 'DELETED' ? [`/${metadata.namespace}`] : []),
    },
    reconcile(_none, name) {
      const namespace = store.get('namespaces', undefined, name)
      if (!namespace || namespace.metadata.deletionTimestamp) return undefined
      if (store.get('serviceaccounts', name, 'default')) return undefined
      store.create('serviceaccounts', {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'default', namespace: name },
      })
      return undefined
    },
  }
}
