/** Certificates that their own key has signed, made by openssl and kept nowhere. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Pair {
  cert: string
  key: string
}

/** Valid from now on for so many days, for this name of the kind `IP:127.0.0.1` or `DNS:example.com`. */
export async function certificate(days: number, name: string): Promise<Pair> {
  const folder = await mkdtemp(join(tmpdir(), 'security-test-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  try {
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', `${days}`]
    const names = ['-subj', '/CN=test', '-addext', `subjectAltName=${name}`]
    const made = Bun.spawnSync(['openssl', 'req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert])
    if (made.exitCode !== 0) throw new Error(`openssl: ${made.stderr.toString()}`)
    return { cert: await Bun.file(cert).text(), key: await Bun.file(key).text() }
  } finally {
    await rm(folder, { recursive: true })
  }
}
