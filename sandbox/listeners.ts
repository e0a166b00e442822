/** Who listens on this machine, by the kernel's own table: also what a sandbox that is gone left behind. */
import { readFileSync } from 'node:fs'

/** `0: 0800567F:0BB8 00000000:0000 0A …`: address (its bytes turned round) and port, the same of nobody, and LISTEN. */
const ROW = /: ([0-9A-F]{8}):[0-9A-F]{4} 00000000:0000 0A /

/** IPv4 addresses at which some port is listened to. https://www.kernel.org/doc/Documentation/networking/proc_net_tcp.txt */
export function listeners(): Set<string> {
  const rows = readFileSync('/proc/net/tcp', 'latin1').split('\n')
  const found = rows.flatMap((row) => ROW.exec(row)?.[1] ?? [])
  return new Set(found.map((address) => Buffer.from(address, 'hex').toReversed().join('.')))
}
