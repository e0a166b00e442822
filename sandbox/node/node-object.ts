/** The Node as the API shows it. */
import type { Node } from '../kinds.ts'
import { now } from '../store.ts'

export const NODE_NAME = 'sandbox'

/** A rehearsal's numbers, not this machine's: a second color has to fit on a laptop too. */
const CAPACITY = { cpu: '32', memory: '64Gi', 'ephemeral-storage': '256Gi', pods: '500' }

export function nodeObject(address: string): Node {
  const time = now()
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: time,
    lastTransitionTime: time,
  })
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: NODE_NAME,
      labels: {
        'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
        'kubernetes.io/hostname': NODE_NAME,
        'kubernetes.io/os': 'linux',
      },
    },
    spec: {},
    status: {
      addresses: [
        { type: 'InternalIP', address },
        { type: 'Hostname', address: NODE_NAME },
      ],
      capacity: CAPACITY,
      allocatable: CAPACITY,
      conditions: [
        condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'memory is not measured here'),
        condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'disk is not measured here'),
        condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'processes are not counted here'),
        condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
      ],
      nodeInfo: {
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        containerRuntimeVersion: 'sandbox://local-processes',
        kernelVersion: '',
        kubeProxyVersion: 'v1.32.0',
        kubeletVersion: 'v1.32.0',
        operatingSystem: 'linux',
        osImage: 'sandbox',
      },
    },
  }
}
