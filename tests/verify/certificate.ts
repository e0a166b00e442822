import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate for 127.0.0.1 that its own key has signed: nobody vouches for it. Made by openssl, kept nowhere. */
export async function selfSigned(): Promise<{ cert: string; key: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'certificate-test-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  try {
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
    const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
    const made = Bun.spawnSync(['openssl', 'req', '-x509', ...kind, ...name, '-keyout', key, '-out', cert])
    if (made.exitCode !== 0) throw new Error(`openssl: ${made.stderr.toString()}`)
    return { cert: await Bun.file(cert).text(), key: await Bun.file(key).text() }
  } finally {
    await rm(folder, { recursive: true })
  }
}
