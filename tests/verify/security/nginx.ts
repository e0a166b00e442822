/** nginx on a free port, where it is installed. */
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'

export const nginx = Bun.which('nginx', { PATH: `${process.env['PATH']}:/usr/sbin` })

/** What a static site should say. */
export const hardened = `
  server_tokens off; charset utf-8; error_page 400 403 404 405 414 /error.txt;
  add_header Content-Security-Policy "default-src 'none'; base-uri 'none'; frame-ancestors 'none'" always;
  add_header Strict-Transport-Security "max-age=31536000" always;
  add_header X-Content-Type-Options nosniff always;
  add_header Referrer-Policy no-referrer always;
  add_header Permissions-Policy "camera=()" always;
  add_header Cross-Origin-Opener-Policy same-origin always;
  add_header Cross-Origin-Resource-Policy same-origin always;`

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/**
 * @param folder what it serves, and where it keeps its own files
 * @param server directives of its one server; PORT and FOLDER are filled in
 */
export async function startNginx(
  folder: string,
  server: string,
): Promise<AsyncDisposable & { port: number }> {
  const port = await freePort()
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/tmp-${name};`,
  )
  const text = `daemon off; master_process off; pid ${folder}/nginx-${port}.pid; error_log stderr crit; events {}
    http { access_log off; types { text/html html; text/plain txt; } default_type text/plain; ${paths.join(' ')}
    server { root ${folder}; ${server.replaceAll('PORT', `${port}`).replaceAll('FOLDER', folder)} } }`
  const file = join(folder, `nginx-${port}.conf`)
  await Bun.write(file, text)
  const child = Bun.spawn([nginx ?? 'nginx', '-p', folder, '-c', file], { stdout: 'ignore', stderr: 'pipe' })
  const deadline = Date.now() + 10_000
  while (!(await isOpen(port))) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`nginx did not start: ${await child.stderr.text()}`)
    await Bun.sleep(20)
  }
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

export async function isOpen(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data: () => {} } })
    socket.end()
    return true
  } catch {
    return false
  }
}
