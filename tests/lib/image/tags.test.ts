import { describe, expect, test } from 'bun:test'
import { imageTags, isFixed } from '../../../lib/image/tags.ts'
import { hostile } from '../hostile.ts'

const commit = '860c1904a1ce19322e91ac35af1ab07466440c37'
const sha = 'sha-860c190'
const tagsOf = (names: object) => imageTags({ commit, dirty: false, ...names })

describe('tags are those of docker/metadata-action', () => {
  test.each<[object, string[]]>([
    [{ branch: 'main' }, ['main', sha]],
    [{ branch: 'feature/x' }, ['feature-x', sha]],
    [{ branch: 'dependabot/npm_and_yarn/@types/node-22' }, ['dependabot-npm_and_yarn-types-node-22', sha]],
    [{ pullRequest: 2 }, ['pr-2', sha]],
    [{ tag: 'v1.2.3' }, ['1.2.3', '1.2', '1', sha]],
    [{ tag: '1.2.3' }, ['1.2.3', '1.2', '1', sha]],
    [{ tag: 'v0.9.1' }, ['0.9.1', '0.9', sha]],
    [{ tag: 'v2.0.8-beta.67' }, ['2.0.8-beta.67', sha]],
    [{ tag: 'v1.2.3+build.7' }, ['1.2.3', '1.2', '1', sha]],
    [{ tag: 'v1.2.3-rc.1+build.7' }, ['1.2.3-rc.1', sha]],
    [{ tag: 'V1.2.3' }, [sha]],
    [{ tag: 'v1.2' }, [sha]],
    [{ tag: 'v01.2.3' }, [sha]],
    [{ tag: 'nightly' }, [sha]],
    [{ tag: 'app/v1.2.3' }, [sha]],
    [{ tag: 'v1.2.3', branch: 'main' }, ['1.2.3', '1.2', '1', 'main', sha]],
    [{ branch: 'main', dirty: true }, ['main', `${sha}-dirty`]],
    [{}, [sha]],
  ])('%j → %j', (names, expected) => expect(tagsOf(names)).toEqual(expected))

  test('a name is there once', () =>
    expect(tagsOf({ branch: '1.2', tag: 'v1.2.3' })).toEqual(['1.2.3', '1.2', '1', sha]))

  test('a branch that is called like a version is told from it, and may be built again', () => {
    const tags = tagsOf({ branch: '1.2.3-hotfix', tag: 'v1.2.3' })
    expect(tags).toEqual(['1.2.3', '1.2', '1', 'branch-1.2.3-hotfix', sha])
    expect(tags.filter(isFixed)).toEqual(['1.2.3'])
    expect(tagsOf({ branch: `1.2.3-${'x'.repeat(200)}` })[0]).toHaveLength(128)
  })
})

describe('whatever a branch or a tag is called, an image tag is one', () => {
  test.each(hostile)('%j', (name) => {
    const tags = [...tagsOf({ branch: name }), ...tagsOf({ tag: name }), ...tagsOf({ tag: `v1.2.3-${name}` })]
    expect(tags.length).toBeGreaterThanOrEqual(3)
    for (const tag of tags) expect(tag).toMatch(/^\w[\w.-]{0,127}$/)
  })
})

describe('a full version is fixed, whatever it was made of', () => {
  test.each([
    ['1.2.3', true],
    ['2.0.8-beta.67', true],
    ['1.2.3-build.7', true],
    ['1.2', false],
    ['1', false],
    ['main', false],
    ['pr-1', false],
    [sha, false],
  ])('%s: %p', (tag, fixed) => expect(isFixed(tag)).toBe(fixed))
})
