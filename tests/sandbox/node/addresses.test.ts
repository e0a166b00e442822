import { expect, test } from 'bun:test'
import { listeners } from '../../../sandbox/listeners.ts'
import { Addresses, freeNetworks } from '../../../sandbox/node/addresses.ts'

test('who listens is seen, at whatever port, and no longer when it has stopped', () => {
  const address = `127.99.${process.pid & 0xff}.7`
  const left = Bun.listen({ hostname: address, port: 0, socket: { data() {} } })
  expect(listeners()).toContain(address)
  left.stop(true)
  expect(listeners()).not.toContain(address)
})

test('a network in which a pod has outlived its sandbox is not taken', () => {
  expect(freeNetworks(['127.0.0.1', '127.96.1.2', '0.0.0.0']).length).toBe(95)
  const free = freeNetworks(['127.3.0.9', '127.95.0.2', '127.3.0.8'])
  expect(free.length).toBe(93)
  expect(free).not.toContain('127.3')
  expect(free).toContain('127.30')
})

test('two at once have networks of their own, and each is given back', () => {
  const [one, two] = [new Addresses(), new Addresses()]
  expect(listeners()).toContain(one.node)
  expect(one.node).not.toBe(two.node)
  expect(one.take()).toBe(one.node.replace(/1$/, '2'))
  one.close()
  two.close()
  expect(listeners()).not.toContain(one.node)
})
